//! Configurations that a node is started with, or asked to check.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use isocast_harness::{Scratch, node_binary, wait};

use super::bytes::{Variables, expand};
use super::item::{Expect, Step};

/// A node says no within this time, and never serves before it does.
const ANSWER: Duration = Duration::from_secs(1);

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
                let file = std::fs::File::create(self.scratch.file(name));
                file.and_then(|mut file| file.write_all(&content))
                    .map_err(|error| format!("{name}: {error}"))
            }
            Step::Environment(name, value) => {
                let value = String::from_utf8_lossy(&expand(value, self.variables)).into_owned();
                self.environment.push((name.clone(), value));
                Ok(())
            }
            Step::Run(arguments) => self.run(arguments),
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
        let output = self.scratch.file("output");
        let file = std::fs::File::create(&output).map_err(|error| error.to_string())?;
        let same = file.try_clone().map_err(|error| error.to_string())?;
        let began = Instant::now();
        let mut child = Command::new(node_binary())
            .current_dir(self.scratch.path())
            .args(arguments)
            .arg("--config-dir")
            .arg(self.scratch.path())
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(same)
            .stderr(file)
            .spawn()
            .map_err(|error| error.to_string())?;
        let ended = wait::within(ANSWER, || child.try_wait().ok().flatten());
        let said = std::fs::read_to_string(&output).unwrap_or_default();
        let Some(status) = ended else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it still runs after {:?}: {said}", began.elapsed()));
        };
        self.ended = Some((status.code(), said));
        Ok(())
    }
}
