//! Configurations that a node is started with, or asked to check.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use isocast_harness::{Process, Scratch, Signal, node_binary, wait};

use super::bytes::{Variables, expand};
use super::item::{Expect, Step};

/// A node says no within this time, and never serves before it does.
const ANSWER: Duration = Duration::from_secs(1);
/// For one that serves to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Config<'a> {
    variables: &'a Variables,
    scratch: Scratch,
    environment: Vec<(String, String)>,
    ended: Option<(Option<i32>, String)>,
}

impl<'a> Config<'a> {
    pub(crate) fn new(variables: &'a Variables) -> Self {
        Self {
            variables,
            scratch: Scratch::new("corpus-config"),
            environment: Vec::new(),
            ended: None,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::File(name, content) => {
                let content = expand(content, self.variables);
                std::fs::write(self.scratch.file(name), content)
                    .map_err(|error| format!("{name}: {error}"))
            }
            Step::Mode(name, mode) => {
                let mode = Permissions::from_mode(*mode);
                std::fs::set_permissions(self.scratch.file(name), mode)
                    .map_err(|error| format!("{name}: {error}"))
            }
            Step::Environment(name, value) => {
                let value = String::from_utf8_lossy(&expand(value, self.variables)).into_owned();
                self.environment.push((name.clone(), value));
                Ok(())
            }
            Step::Run(arguments) => self.run(arguments),
            Step::Serve(arguments) => self.serve(arguments),
            Step::Expect(Expect::Exit(code)) => match &self.ended {
                Some((found, said)) if *found != Some(*code) => {
                    Err(format!("exit {found:?}: {said}"))
                }
                Some(_) => Ok(()),
                None => Err("nothing was run".into()),
            },
            Step::Expect(Expect::Says(text)) => {
                let text = String::from_utf8_lossy(&expand(text, self.variables)).into_owned();
                match &self.ended {
                    Some((_, said)) if said.contains(&text) => Ok(()),
                    Some((_, said)) => Err(format!("it does not say `{text}` but: {said}")),
                    None => Err("nothing was run".into()),
                }
            }
            other => Err(format!("{other:?} is not for configurations")),
        }
    }

    fn run(&mut self, arguments: &[String]) -> Result<(), String> {
        let mut process = self.start(arguments);
        let Some(status) = process.ends_within(ANSWER) else {
            return Err(format!("it still runs after {ANSWER:?}: {}", process.log()));
        };
        self.ended = Some((status.code(), process.log()));
        Ok(())
    }

    /// Until it is ready; then it is told to stop.
    fn serve(&mut self, arguments: &[String]) -> Result<(), String> {
        let mut process = self.start(arguments);
        let is_ready = wait::within(PATIENCE, || {
            let is_over = !process.is_running() || process.log().contains("ready");
            is_over.then_some(())
        });
        process.signal(Signal::TERM);
        let status = is_ready.and_then(|()| process.ends_within(PATIENCE));
        let status = status.ok_or_else(|| format!("neither ready nor ended: {}", process.log()))?;
        self.ended = Some((status.code(), process.log()));
        Ok(())
    }

    fn start(&self, arguments: &[String]) -> Process {
        let mut command = Command::new(node_binary());
        command
            .current_dir(self.scratch.path())
            .args(arguments)
            .arg("--config-dir")
            .arg(self.scratch.path())
            .env_clear()
            .envs(self.environment.iter().cloned());
        Process::start("isocast-node", &mut command, &self.scratch.file("output"))
    }
}
