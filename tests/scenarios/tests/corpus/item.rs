//! One file of the corpus: what it shows, and the conversation that shows it. Read strictly: a
//! file with anything that is not understood is a failure of the whole run.

use std::path::Path;
use std::time::Duration;

use super::bytes::{Piece, Token, pieces, tokens};
use super::credentials::{Jwt, Pass, Signer};

#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its path below `tests/corpus`.
    pub(crate) name: String,
    pub(crate) on: On,
    /// What it adds to `isocast_refusals`: surface, reason, how many.
    pub(crate) counts: Vec<(String, String, u64)>,
    pub(crate) pass: Option<Pass>,
    pub(crate) jwt: Option<Jwt>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Rtmp,
    Http,
    Config,
}

/// See `tests/corpus/README.md` for what each does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Repeat(usize, Vec<Step>),
    Send(Vec<Piece>),
    SendSlowly(Vec<Piece>),
    HangUp,
    Reset,
    Skip(usize),
    Handshake,
    Connect,
    Publish,
    ChunkStreams(u32),
    ChunkSize(u32),
    Command(String, Value, Vec<Value>),
    Message(u8, Vec<Piece>),
    Video(u32, Vec<Piece>),
    Audio(u32, Vec<Piece>),
    Data(u32, Vec<Piece>),
    Stream(Stream),
    Preface,
    Frame(u8, u8, StreamId, Vec<Piece>),
    File(String, Vec<Piece>),
    Mode(String, u32),
    Environment(String, Vec<Piece>),
    Run(Vec<String>),
    Serve(Vec<String>),
    Expect(Expect),
}

/// A value of a command (AMF0).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Undefined,
    Number(f64),
    Text(Vec<Piece>),
}

/// Pictures and sounds that are what they say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) count: u32,
    pub(crate) video: Option<u32>,
    pub(crate) audio: Option<u32>,
    pub(crate) every_ms: u32,
    /// A key frame each so many pictures; 0 for none.
    pub(crate) keys: u32,
    pub(crate) lasts: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamId {
    Is(u32),
    New,
    Last,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    Closed {
        silently: bool,
        within: Duration,
    },
    /// A command's name, or the code that it carries.
    Said(String, Duration),
    /// It answers a ping.
    Open,
    /// What comes next.
    Bytes(Vec<Piece>),
    Status(u16, Option<String>, usize),
    Playlist,
    GoAway(Option<u32>, Duration),
    Exit(i32),
    Says(Vec<Piece>),
}

const SECOND: Duration = Duration::from_secs(1);
/// For an answer that needs no waiting, on a busy machine.
const SOON: Duration = Duration::from_secs(5);

pub(crate) fn read(folder: &Path, path: &Path) -> Result<Item, String> {
    let name = path.strip_prefix(folder).unwrap_or(path);
    let name = name.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    parse(&name, &text).map_err(|error| format!("{name}:{error}"))
}

pub(crate) fn parse(name: &str, text: &str) -> Result<Item, String> {
    let mut lines = logical_lines(text);
    lines.reverse();
    let mut shows = None;
    let mut on = None;
    let mut counts = Vec::new();
    let (mut pass, mut jwt) = (None, None);
    let (mut header, mut claims) = (Vec::new(), Vec::new());
    while let Some((number, line)) = lines.pop() {
        let at = |error: String| format!("{number}: {error}");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.trim();
        match word {
            "shows" if shows.is_none() && !rest.is_empty() => shows = Some(rest.to_owned()),
            "on" if on.is_none() => {
                on = Some(match rest {
                    "rtmp" => On::Rtmp,
                    "http" => On::Http,
                    "config" => On::Config,
                    _ => return Err(at(format!("nothing is spoken to on `{rest}`"))),
                });
            }
            "counts" => counts.push(count(rest).map_err(at)?),
            "pass" => pass = Some(Pass::parse(rest).map_err(at)?),
            "header" => header = bytes(rest).map_err(at)?,
            "claims" => claims = bytes(rest).map_err(at)?,
            "signed" => {
                let by = rest.strip_prefix("by ").unwrap_or_default();
                jwt = Some(Jwt {
                    header: std::mem::take(&mut header),
                    claims: std::mem::take(&mut claims),
                    by: Signer::named(by).map_err(at)?,
                });
            }
            _ => {
                lines.push((number, line));
                break;
            }
        }
    }
    let steps = steps(&mut lines, None)?;
    shows.ok_or("1: `shows` is missing")?;
    match steps.last() {
        Some(Step::Expect(_)) => {}
        _ => return Err("1: it does not end with what is expected".into()),
    }
    Ok(Item {
        name: name.to_owned(),
        on: on.ok_or("1: `on` is missing")?,
        counts,
        pass,
        jwt,
        steps,
    })
}

/// Lines with those joined that go on with spaces; comments and empty lines are left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, last)) if line.starts_with("    ") => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push((index + 1, line.trim().to_owned())),
        }
    }
    lines
}

fn count(text: &str) -> Result<(String, String, u64), String> {
    let (label, count) = text.split_once(' ').unwrap_or((text, "1"));
    let (surface, reason) = label.split_once('/').ok_or("write SURFACE/REASON")?;
    let count = count.trim().parse();
    let count = count.map_err(|_| format!("`{text}`: a count follows the reason"))?;
    Ok((surface.to_owned(), reason.to_owned(), count))
}

/// Steps to the end of the file, or to `end` within a `repeat`; `lines` are in reverse.
fn steps(lines: &mut Vec<(usize, String)>, open: Option<usize>) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    while let Some((number, line)) = lines.pop() {
        let at = |error: String| format!("{number}: {error}");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "repeat" => {
                let count = whole(rest).map_err(at)?;
                steps.push(Step::Repeat(count, self::steps(lines, Some(number))?));
            }
            "end" if open.is_some() && rest.is_empty() => return Ok(steps),
            _ => steps.push(step(word, rest).map_err(at)?),
        }
    }
    match open {
        Some(number) => Err(format!("{number}: this `repeat` has no `end`")),
        None => Ok(steps),
    }
}

fn step(word: &str, rest: &str) -> Result<Step, String> {
    let first = || rest.split_once(' ').unwrap_or((rest, ""));
    let timed = || -> Result<(u32, Vec<Piece>), String> {
        let (at, body) = first();
        Ok((whole(at)?, bytes(body)?))
    };
    Ok(match word {
        "send" => Step::Send(bytes(rest)?),
        "slowly" => Step::SendSlowly(bytes(rest)?),
        "hang-up" => Step::HangUp,
        "reset" => Step::Reset,
        "skip" => Step::Skip(whole(rest)?),
        "handshake" => Step::Handshake,
        "connect" => Step::Connect,
        "publish" => Step::Publish,
        "chunk-streams" => Step::ChunkStreams(whole(rest)?),
        "chunk-size" => Step::ChunkSize(whole(rest)?),
        "command" => command(&tokens(rest)?)?,
        "message" => {
            let (type_id, body) = first();
            Step::Message(whole(type_id)?, bytes(body)?)
        }
        "video" => timed().map(|(at, body)| Step::Video(at, body))?,
        "audio" => timed().map(|(at, body)| Step::Audio(at, body))?,
        "data" => timed().map(|(at, body)| Step::Data(at, body))?,
        "stream" => Step::Stream(stream(rest)?),
        "preface" => Step::Preface,
        "frame" => frame(rest)?,
        "file" => {
            let (name, body) = first();
            Step::File(name.to_owned(), bytes(body)?)
        }
        "mode" => {
            let (name, mode) = first();
            let mode = u32::from_str_radix(mode, 8).map_err(|_| "a mode is octal")?;
            Step::Mode(name.to_owned(), mode)
        }
        "environment" => {
            let (name, value) = first();
            Step::Environment(name.to_owned(), bytes(value)?)
        }
        "run" => Step::Run(arguments(rest)),
        "serve" => Step::Serve(arguments(rest)),
        "expect" => Step::Expect(expect(rest)?),
        _ => return Err(format!("`{word}` is no step")),
    })
}

fn bytes(text: &str) -> Result<Vec<Piece>, String> {
    pieces(&tokens(text)?)
}

fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let number = text.trim().parse();
    number.map_err(|_| format!("`{text}` is not a whole number that fits here"))
}

fn arguments(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `NAME TRANSACTION VALUE…`
fn command(tokens: &[Token]) -> Result<Step, String> {
    let mut values = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        values.push(match first {
            Token::Word(word) => match word.as_str() {
                "null" => Value::Null,
                "undefined" => Value::Undefined,
                "nan" => Value::Number(f64::NAN),
                "inf" => Value::Number(f64::INFINITY),
                word => match word.parse() {
                    Ok(number) => Value::Number(number),
                    Err(_) if values.is_empty() => {
                        Value::Text(vec![Piece::Plain(word.as_bytes().to_vec())])
                    }
                    Err(_) => return Err(format!("`{word}` is no value")),
                },
            },
            Token::Text(text) => match after.split_first() {
                Some((Token::Times(count), after)) => {
                    rest = after;
                    Value::Text(vec![Piece::Repeated(text.clone(), *count)])
                }
                _ => Value::Text(text.clone()),
            },
            other => return Err(format!("{other:?} is no value")),
        });
    }
    let mut values = values.into_iter();
    let (Some(Value::Text(name)), Some(transaction)) = (values.next(), values.next()) else {
        return Err("a command has a name and a transaction".into());
    };
    let name = super::bytes::expand(&name, &super::bytes::Variables::default());
    let name = String::from_utf8(name).map_err(|_| "a command's name is text")?;
    Ok(Step::Command(name, transaction, values.collect()))
}

/// `COUNT [video FROM_MS] [audio FROM_MS] [every MS] [keys EVERY] [in S s]`
fn stream(text: &str) -> Result<Stream, String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let (count, mut rest) = words.split_first().ok_or("a stream has a count")?;
    let count = whole(count)?;
    let mut stream = Stream {
        count,
        video: None,
        audio: None,
        every_ms: 40,
        keys: 25,
        lasts: Duration::from_millis(40) * count,
    };
    while let [word, number, after @ ..] = rest {
        let number = whole(number)?;
        rest = after;
        match *word {
            "video" => stream.video = Some(number),
            "audio" => stream.audio = Some(number),
            "every" => stream.every_ms = number,
            "keys" => stream.keys = number,
            "in" if rest == ["s"] => {
                stream.lasts = SECOND * number;
                rest = &[];
            }
            other => return Err(format!("`{other}` says nothing about a stream")),
        }
    }
    match rest {
        [] => Ok(stream),
        other => Err(format!("{other:?} says nothing about a stream")),
    }
}

/// `TYPE FLAGS STREAM BYTES`: an HTTP/2 frame (RFC 9113 §4.1).
fn frame(text: &str) -> Result<Step, String> {
    let mut words = text.splitn(4, ' ');
    let mut next = || words.next().ok_or("a frame has a type, flags and a stream");
    let type_id = match next()? {
        "data" => 0,
        "headers" => 1,
        "priority" => 2,
        "rst_stream" => 3,
        "settings" => 4,
        "push_promise" => 5,
        "ping" => 6,
        "goaway" => 7,
        "window_update" => 8,
        "continuation" => 9,
        other => return Err(format!("`{other}` is no frame")),
    };
    let flags = u8::from_str_radix(next()?, 16).map_err(|_| "flags are two digits")?;
    let stream = match next()? {
        "new" => StreamId::New,
        "last" => StreamId::Last,
        id => StreamId::Is(whole(id)?),
    };
    let payload = pieces(&tokens(words.next().unwrap_or_default())?)?;
    Ok(Step::Frame(type_id, flags, stream, payload))
}

fn expect(text: &str) -> Result<Expect, String> {
    if let Some(text) = text.strip_prefix("bytes ") {
        return Ok(Expect::Bytes(pieces(&tokens(text)?)?));
    }
    if let Some(text) = text.strip_prefix("says ") {
        return Ok(Expect::Says(pieces(&tokens(text)?)?));
    }
    let (text, within) = match text.split_once(" within ") {
        Some((text, time)) => {
            let seconds = time.strip_suffix(" s").ok_or("write `within N s`")?;
            (text, Some(SECOND * whole::<u32>(seconds)?))
        }
        None => (text, None),
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let (expect, takes_time) = match words[..] {
        ["closed"] => closed(false, within)?,
        ["silent", "close"] => closed(true, within)?,
        ["open"] => (Expect::Open, false),
        ["status", status] => (Expect::Status(whole(status)?, None, 1), false),
        ["status", status, "times", count] => {
            (Expect::Status(whole(status)?, None, whole(count)?), false)
        }
        ["status", status, code] => (
            Expect::Status(whole(status)?, Some(code.to_owned()), 1),
            false,
        ),
        ["playlist"] => (Expect::Playlist, false),
        ["goaway"] => (Expect::GoAway(None, within.unwrap_or(SOON)), true),
        ["goaway", code] => (
            Expect::GoAway(Some(whole(code)?), within.unwrap_or(SOON)),
            true,
        ),
        ["exit", code] => (Expect::Exit(whole(code)?), false),
        [word] if word.starts_with('_') || word.contains('.') => {
            (Expect::Said(word.to_owned(), within.unwrap_or(SOON)), true)
        }
        _ => return Err(format!("`{text}` cannot be expected")),
    };
    match within {
        Some(_) if !takes_time => Err(format!("`{text}` has its own time")),
        _ => Ok(expect),
    }
}

fn closed(silently: bool, within: Option<Duration>) -> Result<(Expect, bool), String> {
    let within = within.ok_or("a close comes `within N s`")?;
    Ok((Expect::Closed { silently, within }, true))
}

impl Item {
    /// Whether a room has to be made for it.
    pub(crate) fn needs_room(&self) -> bool {
        self.steps.iter().any(Step::needs_room)
    }

    /// The least time it lasts.
    pub(crate) fn least(&self) -> Duration {
        self.steps.iter().map(Step::least).sum()
    }
}

impl Step {
    fn needs_room(&self) -> bool {
        let mentions = |pieces: &[Piece]| {
            ["KEY", "ROOM"]
                .iter()
                .any(|name| super::bytes::mentions(pieces, name))
        };
        match self {
            Self::Repeat(_, steps) => steps.iter().any(Self::needs_room),
            Self::Send(pieces) | Self::SendSlowly(pieces) | Self::Message(_, pieces) => {
                mentions(pieces)
            }
            Self::Publish => true,
            Self::Command(_, _, values) => values.iter().any(|value| match value {
                Value::Text(text) => mentions(text),
                _ => false,
            }),
            _ => false,
        }
    }

    fn least(&self) -> Duration {
        match self {
            Self::Repeat(count, steps) => {
                steps.iter().map(Self::least).sum::<Duration>() * (*count as u32)
            }
            Self::Stream(stream) => stream.lasts,
            Self::Expect(Expect::Closed { within, .. }) if *within > SOON => *within,
            _ => Duration::ZERO,
        }
    }
}

#[test]
fn what_is_not_understood_is_an_error_with_its_line() {
    let head = "shows a thing\non rtmp\n";
    for (text, expected) in [
        ("send 00\nexpect closed within 5 s", None),
        ("repeat 2\n  send 00\nend\nexpect open", None),
        ("repeat 2\nsend 00\nend\nexpect open", None),
        ("send 00\n    01 02\n# why\n\nexpect open", None),
        ("command publish 0 null \"$KEY\"*2\nexpect open", None),
        ("frame headers 05 new 82\nexpect goaway 11", None),
        ("expect NetStream.Play.Failed within 2 s", None),
        ("send 00", Some("1: it does not end")),
        ("sned 00\nexpect open", Some("3: `sned` is no step")),
        ("send 0\nexpect open", Some("3: `0` is not")),
        ("repeat 2\nexpect open", Some("3: this `repeat`")),
        ("expect closed", Some("3: a close comes")),
        ("expect open within 3 s", Some("3: `open` has")),
        ("expect happiness", Some("3: `happiness` cannot")),
        ("command publish\nexpect open", Some("3: a command has")),
        (
            "command publish 0 nil\nexpect open",
            Some("3: `nil` is no value"),
        ),
        ("stream 3 in 2\nexpect open", Some("3: `in` says nothing")),
        (
            "frame heads 05 1\nexpect open",
            Some("3: `heads` is no frame"),
        ),
        ("shows twice\nexpect open", Some("3: `shows` is no step")),
    ] {
        let found = parse("x", &format!("{head}{text}\n")).err();
        match (&found, expected) {
            (None, None) => {}
            (Some(found), Some(start)) if found.starts_with(start) => {}
            _ => panic!("{text}: {found:?} instead of {expected:?}"),
        }
    }
    for (text, expected) in [
        ("shows x\nexpect open", "1: `on` is missing"),
        ("on rtmp\nexpect open", "1: `shows` is missing"),
        ("on ftp\nexpect open", "1: nothing is spoken to on `ftp`"),
        ("on rtmp\ncounts rtmp\n", "2: write SURFACE/REASON"),
        (
            "on http\npass sealed 5\n",
            "2: write `pass ROOM SECONDS by SIGNER`",
        ),
        ("on http\nsigned by me\n", "2: `me` signs nothing"),
    ] {
        assert_eq!(parse("x", text).err().as_deref(), Some(expected));
    }
}
