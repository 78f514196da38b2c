use std::sync::atomic::{AtomicU32, Ordering};

use isocast_harness::Output;
use serde_json::{Value, json};

use crate::Lab;
use crate::api::JSON;

/// A namespace for one test, deleted with it. It stays where the test fails, for as long as the lab does.
#[derive(Debug)]
pub struct Namespace {
    pub lab: &'static Lab,
    pub name: String,
}

impl Lab {
    /// Makes a namespace whose name begins with `name`.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn namespace(&'static self, name: &str) -> Namespace {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{count}", std::process::id());
        let object = json!({"metadata": {"name": name}}).to_string();
        let answer = self.ask("POST", "/api/v1/namespaces", JSON, &object);
        assert_eq!(answer.status, 201, "{}", answer.text());
        Namespace { lab: self, name }
    }
}

/// As the functions of [`Lab`], in this namespace.
impl Namespace {
    /// # Panics
    /// If it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.lab.kubectl(&self.inside(arguments))
    }

    #[must_use]
    pub fn ask_kubectl(&self, arguments: &[&str]) -> Output {
        self.lab.ask_kubectl(&self.inside(arguments))
    }

    /// # Panics
    /// If it fails.
    pub fn helm(&self, arguments: &[&str]) -> String {
        self.lab.helm(&self.inside(arguments))
    }

    /// # Panics
    /// If any is refused.
    pub fn apply(&self, manifests: &str) {
        self.lab.apply(manifests, &self.inside(&[]));
    }

    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn get_json(&self, arguments: &[&str]) -> Option<Value> {
        self.lab.get_json(&self.inside(arguments))
    }

    /// # Panics
    /// Once `seconds` are over without it.
    pub fn wait_for(
        &self,
        what: &str,
        seconds: u64,
        arguments: &[&str],
        passes: impl Fn(&Value) -> bool,
    ) -> Value {
        let arguments = self.inside(arguments);
        self.lab.wait_for(what, seconds, &arguments, passes)
    }

    /// # Panics
    /// Once `seconds` are over and it is still there.
    pub fn wait_until_gone(&self, seconds: u64, arguments: &[&str]) {
        let what = format!("no {}", arguments.join(" "));
        self.lab
            .wait_until_gone(&what, seconds, &self.inside(arguments));
    }

    fn inside<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--namespace", &self.name], arguments].concat()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: namespace {}", self.name);
        } else {
            let path = format!("/api/v1/namespaces/{}", self.name);
            let _ = self.lab.try_ask("DELETE", &path, JSON, "");
        }
    }
}
