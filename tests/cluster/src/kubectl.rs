//! kubectl, helm and what else was built for the lab.

use std::path::PathBuf;
use std::process::Command;

use isocast_harness::{Output, Scratch, repository, run, wait};
use serde_json::Value;

use crate::Lab;

/// For one call, whatever its own timeouts are.
const CALL_S: &str = "300";

impl Lab {
    /// What kubectl prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        must_succeed("kubectl", arguments, self.ask_kubectl(arguments))
    }

    /// The same where failing is an answer.
    #[must_use]
    pub fn ask_kubectl(&self, arguments: &[&str]) -> Output {
        run(self.program("kubernetes").arg("kubectl").args(arguments))
    }

    /// What helm prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn helm(&self, arguments: &[&str]) -> String {
        must_succeed("helm", arguments, self.ask_helm(arguments))
    }

    /// The same where failing is an answer.
    #[must_use]
    pub fn ask_helm(&self, arguments: &[&str]) -> Output {
        run(self.program("helm").args(arguments))
    }

    /// Applies manifests; `arguments` come after `kubectl apply`.
    ///
    /// # Panics
    /// If any is refused.
    pub fn apply(&self, manifests: &str, arguments: &[&str]) {
        let scratch = Scratch::new("apply");
        let file = scratch.file("manifests.yaml");
        std::fs::write(&file, manifests).expect("the target folder can be written");
        let file = file.to_str().expect("cargo's folders have readable names");
        self.kubectl(&[&["apply", "-f", file], arguments].concat());
    }

    /// What `kubectl get` finds; None if there is no such object.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn get_json(&self, arguments: &[&str]) -> Option<Value> {
        let get = ["get", "--ignore-not-found", "-o", "json"];
        let out = self.kubectl(&[&get, arguments].concat());
        if out.trim().is_empty() {
            return None;
        }
        Some(serde_json::from_str(&out).expect("kubectl prints JSON"))
    }

    /// Looks with `kubectl get` until it finds what passes, and returns that.
    ///
    /// # Panics
    /// Once `seconds` are over without it.
    pub fn wait_for(
        &self,
        what: &str,
        seconds: u64,
        arguments: &[&str],
        passes: impl Fn(&Value) -> bool,
    ) -> Value {
        wait::until(what, seconds, || self.get_json(arguments).filter(&passes))
    }

    /// Waits until `kubectl get` finds nothing any more.
    ///
    /// # Panics
    /// Once `seconds` are over and it still does.
    pub fn wait_until_gone(&self, what: &str, seconds: u64, arguments: &[&str]) {
        wait::until(what, seconds, || {
            self.get_json(arguments).is_none().then_some(())
        });
    }

    /// A program of the lab, with this cluster as its own: `helm`, `kubeconform`, `kubernetes`.
    ///
    /// # Panics
    /// If it was not built.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let folder = match std::env::var_os("ISOCAST_LAB_CACHE") {
            Some(folder) => PathBuf::from(folder),
            None => repository().join(".tools/lab"),
        };
        let path = folder.join(name);
        assert!(
            path.is_file(),
            "{} is not there: run `make tools`",
            path.display()
        );
        let mut command = Command::new("timeout");
        command.arg(CALL_S).arg(path);
        command.env("KUBECONFIG", &self.kubeconfig);
        if self.is_ours {
            for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
                command.env_remove(proxy);
            }
        }
        command
    }
}

fn must_succeed(program: &str, arguments: &[&str], output: Output) -> String {
    let call = arguments.join(" ");
    assert_eq!(output.code, Some(0), "{program} {call}: {}", output.err);
    output.out
}
