//! What nodes tell each other where one plays from another to serve viewers of its own.
//!
//! Such a player, a relay, says so in `connect`; the answer to its `play` says which claim it is bound to, and by
//! which nodes the stream has come. Beside the media it is sent [`Mark`]s. All of this is in properties, and in a
//! data message, that other players do not know; a relay passes over what it does not know itself, so that nodes
//! of two releases understand each other.
//!
//! Numbers of 64 bits are decimal text: AMF0 has 53 bits for them (§2.2).

use std::fmt;

use bytes::Bytes;

use super::Media;
use crate::amf0::{Value, decode_all, encode_all};
use crate::frame::Track;
use crate::time::{MediaMs, UnixMs};

/// The property of `connect` and of `NetStream.Play.Start`, and the name of the data message.
const NAME: &str = "isocastRelay";
/// The longest name of a node, that of a host (RFC 1035 §2.3.4).
const NODE_BYTES_MAX: usize = 253;
const TOKEN_BYTES_MAX: usize = 256;
/// Nodes that a stream has come by; no path in use is nearly as long.
const PATH_MAX: usize = 8;

/// A claim of a room: its epoch, the node that made it, and when that node had started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub epoch: u64,
    pub node: String,
    pub incarnation: u64,
}

/// What nodes that belong together know. `Debug` does not tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// In `connect`: who wants to relay what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    pub node: String,
    /// By how many connections between nodes the stream would have come to it.
    pub hops: u8,
    /// `None` where the connection itself shows who it is.
    pub token: Option<Token>,
    /// The highest claim that it knows of.
    pub expects: Option<Pair>,
    /// How far, in room time, it has the stream already.
    pub since: Option<MediaMs>,
}

/// In `NetStream.Play.Start`: what all that follows belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bond {
    pub pair: Pair,
    /// The nodes that the stream has come by, from its publisher's to the one that says this.
    pub path: Vec<String>,
}

/// Where a relayed stream has come to: before its first frame, wherever frames were left out, where its state
/// changes, and every second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The room time of what follows: timestamps of media are 32 bits wide and wrap, this does not.
    pub time: MediaMs,
    /// By the sender's clock.
    pub sent_at: UnixMs,
    /// The publisher has gone, and may come back.
    pub is_held: bool,
    /// The next frame of media need not go on where the last one was.
    pub discontinuity: bool,
}

impl Asker {
    pub(super) fn property(&self) -> (String, Value) {
        let mut values = vec![
            ("node".into(), text(&self.node)),
            ("hops".into(), Value::Number(self.hops.into())),
        ];
        let token = self.token.as_ref().map(|token| text(&token.0));
        values.extend(token.map(|token| ("token".into(), token)));
        let expects = self.expects.as_ref().map(Pair::value);
        values.extend(expects.map(|pair| ("expects".into(), pair)));
        let since = self.since.map(|since| number(since.0));
        values.extend(since.map(|since| ("since".into(), since)));
        (NAME.into(), Value::Object(values))
    }

    /// From `connect`'s command object; `None` where that is no relay's.
    pub(super) fn read(object: &Value) -> Option<Self> {
        let said = object.get(NAME)?;
        let hops = said.get("hops")?.as_f64()?;
        let is_count = hops.fract() == 0.0 && (0.0..=f64::from(u8::MAX)).contains(&hops);
        let token = match said.get("token") {
            Some(token) => Some(Token(word(token, TOKEN_BYTES_MAX)?)),
            None => None,
        };
        let expects = match said.get("expects") {
            Some(pair) => Some(Pair::read(pair)?),
            None => None,
        };
        let since = match said.get("since") {
            Some(since) => Some(MediaMs(parsed(since)?)),
            None => None,
        };
        is_count.then_some(Self {
            node: word(said.get("node")?, NODE_BYTES_MAX)?,
            hops: hops as u8,
            token,
            expects,
            since,
        })
    }
}

impl Bond {
    pub(super) fn property(&self) -> (String, Value) {
        let path = self.path.iter().map(|node| text(node)).collect();
        let values = vec![
            ("pair".into(), self.pair.value()),
            ("path".into(), Value::StrictArray(path)),
        ];
        (NAME.into(), Value::Object(values))
    }

    /// From the information object of a status.
    pub(super) fn read(info: &Value) -> Option<Self> {
        let said = info.get(NAME)?;
        let Value::StrictArray(path) = said.get("path")? else {
            return None;
        };
        if !(1..=PATH_MAX).contains(&path.len()) {
            return None;
        }
        let path = path.iter().map(|node| word(node, NODE_BYTES_MAX));
        Some(Self {
            pair: Pair::read(said.get("pair")?)?,
            path: path.collect::<Option<_>>()?,
        })
    }
}

impl Mark {
    /// The data message that carries it.
    #[must_use]
    pub fn message(&self) -> Media {
        let values = vec![
            ("time".into(), number(self.time.0)),
            ("sentAt".into(), number(self.sent_at.0)),
            ("held".into(), Value::Boolean(self.is_held)),
            ("discontinuity".into(), Value::Boolean(self.discontinuity)),
        ];
        Media {
            track: Track::Data,
            timestamp: self.time.wrapped(),
            body: encode_all(&[text(NAME), Value::Object(values)]),
        }
    }

    /// `None` where this message is another one.
    #[must_use]
    pub fn read(media: &Media) -> Option<Self> {
        let is_mark = media.track == Track::Data && has_name(&media.body);
        let values = decode_all(is_mark.then_some(&media.body)?).ok()?;
        let said = values.get(1)?;
        let flag = |name| matches!(said.get(name), Some(Value::Boolean(true)));
        Some(Self {
            time: MediaMs(parsed(said.get("time")?)?),
            sent_at: UnixMs(parsed(said.get("sentAt")?)?),
            is_held: flag("held"),
            discontinuity: flag("discontinuity"),
        })
    }
}

impl Pair {
    fn value(&self) -> Value {
        Value::Object(vec![
            ("epoch".into(), number(self.epoch)),
            ("node".into(), text(&self.node)),
            ("incarnation".into(), number(self.incarnation)),
        ])
    }

    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            epoch: parsed(value.get("epoch")?)?,
            node: word(value.get("node")?, NODE_BYTES_MAX)?,
            incarnation: parsed(value.get("incarnation")?)?,
        })
    }
}

/// Whether a data message starts with our name, as an AMF0 string (AMF0 §2.4).
fn has_name(body: &Bytes) -> bool {
    let rest = body.strip_prefix(&[2, 0, NAME.len() as u8]);
    rest.is_some_and(|rest| rest.starts_with(NAME.as_bytes()))
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn number(number: impl fmt::Display) -> Value {
    Value::String(number.to_string())
}

fn parsed<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn word(value: &Value, bytes_max: usize) -> Option<String> {
    let word = value.as_str()?;
    (1..=bytes_max).contains(&word.len()).then(|| word.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(epoch: u64) -> Pair {
        Pair {
            epoch,
            node: "isocast-0".into(),
            incarnation: u64::MAX,
        }
    }

    /// As it is after a journey.
    fn sent(value: (String, Value)) -> Value {
        let bytes = encode_all(&[Value::Object(vec![value])]);
        decode_all(&bytes).unwrap().remove(0)
    }

    fn object(values: &[(&str, Value)]) -> Value {
        let owned = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        Value::Object(values.iter().map(owned).collect())
    }

    #[test]
    fn what_an_asker_says_is_heard() {
        let least = Asker {
            node: "b".into(),
            hops: 1,
            token: None,
            expects: None,
            since: None,
        };
        let all = Asker {
            node: "n".repeat(NODE_BYTES_MAX),
            hops: 255,
            token: Some(Token("t".repeat(TOKEN_BYTES_MAX))),
            expects: Some(pair(u64::MAX)),
            since: Some(MediaMs(i64::MAX)),
        };
        for asker in [least, all] {
            assert_eq!(Asker::read(&sent(asker.property())), Some(asker));
        }
    }

    #[test]
    fn what_a_bond_says_is_heard() {
        for path in [vec!["a".to_owned()], vec!["a".to_owned(); PATH_MAX]] {
            let bond = Bond {
                pair: pair(1_700_000_000_000),
                path,
            };
            assert_eq!(Bond::read(&sent(bond.property())), Some(bond));
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for (time, sent_at, is_held, discontinuity) in [
            (0, 0, false, false),
            (1 << 40, 1_700_000_000_000, true, false),
            (-1, i64::MIN, false, true),
            (i64::MAX, i64::MAX, true, true),
        ] {
            let mark = Mark {
                time: MediaMs(time),
                sent_at: UnixMs(sent_at),
                is_held,
                discontinuity,
            };
            assert_eq!(Mark::read(&mark.message()), Some(mark));
        }
    }

    #[test]
    fn what_is_no_asker_is_none() {
        let node = || ("node", text("b"));
        let hops = |hops| ("hops", Value::Number(hops));
        let good = Value::Object(vec![]);
        for (name, said) in [
            ("no object", Value::Null),
            ("nothing", good),
            ("no hops", object(&[node()])),
            ("no node", object(&[hops(1.0)])),
            ("half a hop", object(&[node(), hops(0.5)])),
            ("hops below 0", object(&[node(), hops(-1.0)])),
            ("too many hops", object(&[node(), hops(256.0)])),
            ("hops that are none", object(&[node(), hops(f64::NAN)])),
            ("no name", object(&[("node", text("")), hops(1.0)])),
            (
                "a long name",
                object(&[("node", text(&"n".repeat(254))), hops(1.0)]),
            ),
            (
                "a long token",
                object(&[node(), hops(1.0), ("token", text(&"t".repeat(257)))]),
            ),
            (
                "an empty token",
                object(&[node(), hops(1.0), ("token", text(""))]),
            ),
            (
                "a broken pair",
                object(&[node(), hops(1.0), ("expects", Value::Null)]),
            ),
            (
                "a time of a number",
                object(&[node(), hops(1.0), ("since", Value::Number(1.0))]),
            ),
        ] {
            assert_eq!(Asker::read(&sent((NAME.into(), said))), None, "{name}");
        }
        assert_eq!(Asker::read(&object(&[("app", text("live"))])), None);
    }

    #[test]
    fn what_is_no_bond_is_none() {
        let path = |nodes: usize| Value::StrictArray(vec![text("a"); nodes]);
        let whole = pair(1).value();
        for (name, said) in [
            ("no pair", object(&[("path", path(1))])),
            ("no path", object(&[("pair", whole.clone())])),
            (
                "an empty path",
                object(&[("pair", whole.clone()), ("path", path(0))]),
            ),
            (
                "a long path",
                object(&[("pair", whole.clone()), ("path", path(PATH_MAX + 1))]),
            ),
            (
                "a path of numbers",
                object(&[
                    ("pair", whole.clone()),
                    ("path", Value::StrictArray(vec![Value::Number(1.0)])),
                ]),
            ),
            (
                "an epoch of a number",
                object(&[
                    (
                        "pair",
                        object(&[("epoch", Value::Number(1.0)), ("node", text("a"))]),
                    ),
                    ("path", path(1)),
                ]),
            ),
        ] {
            assert_eq!(Bond::read(&sent((NAME.into(), said))), None, "{name}");
        }
    }

    #[test]
    fn other_data_is_no_mark() {
        let mark = Mark {
            time: MediaMs(7),
            sent_at: UnixMs(8),
            is_held: false,
            discontinuity: false,
        };
        let message = mark.message();
        for (name, track, body) in [
            ("nothing", Track::Data, Bytes::new()),
            ("of another track", Track::Audio, message.body.clone()),
            (
                "cut short",
                Track::Data,
                message.body.slice(..message.body.len() - 4),
            ),
            (
                "a description",
                Track::Data,
                encode_all(&[text("onMetaData"), Value::Object(vec![])]),
            ),
            ("a name alone", Track::Data, encode_all(&[text(NAME)])),
            (
                "a longer name",
                Track::Data,
                encode_all(&[text("isocastRelayed"), Value::Null]),
            ),
            (
                "without a time",
                Track::Data,
                encode_all(&[text(NAME), object(&[("sentAt", number(1))])]),
            ),
        ] {
            let timestamp = 0;
            let media = Media {
                track,
                timestamp,
                body,
            };
            assert_eq!(Mark::read(&media), None, "{name}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Some(Token("hunter2".into()));
        assert_eq!(format!("{token:?}"), "Some(Token(…))");
    }
}
