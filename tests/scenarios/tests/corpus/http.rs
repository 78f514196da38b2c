//! HTTP steps, of both versions. No answer may repeat `evil`, which requests say in many places.

use std::time::{Duration, Instant};

use super::bytes::{Variables, expand};
use super::item::{Expect, Step, StreamId};
use super::link::Link;

const SOON: Duration = Duration::from_secs(5);
/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) struct Http<'a> {
    pub(crate) link: Link,
    variables: &'a Variables,
    /// The last HTTP/2 stream that was opened.
    stream: u32,
}

impl<'a> Http<'a> {
    pub(crate) fn new(link: Link, variables: &'a Variables) -> Self {
        Self {
            link,
            variables,
            stream: 0,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), String> {
        if let Some(done) = self.link.step(step, self.variables) {
            return done;
        }
        match step {
            Step::Preface => {
                self.link.send(PREFACE);
                self.frame(SETTINGS, 0, 0, &[]);
            }
            Step::Frame(type_id, flags, stream, payload) => {
                let stream = match stream {
                    StreamId::Is(id) => *id,
                    StreamId::Last => self.stream,
                    StreamId::New => {
                        // A client's are odd.
                        self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
                        self.stream
                    }
                };
                let payload = expand(payload, self.variables);
                self.frame(*type_id, *flags, stream, &payload);
            }
            Step::Expect(Expect::Status(status, code, times)) => {
                for number in 1..=*times {
                    let (found, body) = self.answer()?;
                    if found != *status {
                        return Err(format!("answer {number} is {found}: {body}"));
                    }
                    if code
                        .as_ref()
                        .is_some_and(|code| !body.contains(&format!("\"code\":\"{code}\"")))
                    {
                        return Err(format!("answer {number} has another code: {body}"));
                    }
                }
            }
            Step::Expect(Expect::GoAway(code, within)) => {
                return self.expect_go_away(*code, *within);
            }
            Step::Expect(Expect::Open) => return self.expect_ping(),
            other => return Err(format!("{other:?} is not for HTTP")),
        }
        Ok(())
    }

    /// Status and body of the next answer of HTTP/1.1.
    fn answer(&mut self) -> Result<(u16, String), String> {
        let give_up = Instant::now() + SOON;
        let head = loop {
            if let Some(end) = find(&self.link.input, b"\r\n\r\n") {
                break self.link.input.split_to(end + 4);
            }
            if !self.link.hear(give_up) {
                return Err(format!("no answer; {}", self.link.told()));
            }
        };
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("no status: {head}"))?;
        let value = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<usize>().ok()
        };
        let length = value("content-length:").unwrap_or(0);
        while self.link.input.len() < length {
            if !self.link.hear(give_up) {
                return Err(format!("half an answer; {}", self.link.told()));
            }
        }
        let body = self.link.input.split_to(length);
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// RFC 9113 §4.1.
    fn frame(&mut self, type_id: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a step's bytes are few");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[type_id, flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.link.send(&bytes);
    }

    fn next_frame(&mut self, give_up: Instant) -> Option<(u8, u8, Vec<u8>)> {
        loop {
            let input = &self.link.input;
            if input.len() >= 9 {
                let length = usize::from(input[0]) << 16
                    | usize::from(input[1]) << 8
                    | usize::from(input[2]);
                if input.len() >= 9 + length {
                    let frame = self.link.input.split_to(9 + length);
                    return Some((frame[3], frame[4], frame[9..].to_vec()));
                }
            }
            if !self.link.hear(give_up) {
                return None;
            }
        }
    }

    fn expect_go_away(&mut self, code: Option<u32>, within: Duration) -> Result<(), String> {
        let give_up = Instant::now() + within;
        while let Some((type_id, _, payload)) = self.next_frame(give_up) {
            // The last stream, then the code (§6.8).
            if type_id == GOAWAY {
                let found = payload
                    .get(4..8)
                    .map(|code| code.try_into().map(u32::from_be_bytes));
                return match found {
                    Some(Ok(found)) if code.is_none_or(|code| code == found) => Ok(()),
                    other => Err(format!("GOAWAY with {other:?}")),
                };
            }
        }
        Err(format!("no GOAWAY; {}", self.link.told()))
    }

    fn expect_ping(&mut self) -> Result<(), String> {
        self.frame(PING, 0, 0, b"opensesa");
        let give_up = Instant::now() + SOON;
        while let Some((type_id, flags, payload)) = self.next_frame(give_up) {
            if type_id == PING && flags & 1 == 1 && payload == b"opensesa" {
                return Ok(());
            }
        }
        Err(format!("it does not go on; {}", self.link.told()))
    }
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
