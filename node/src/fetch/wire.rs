//! What nodes say to each other of HLS, in both directions: paths, and the headers beside what HTTP has.
//!
//! `GET /peer/hls/room_<id>/index.m3u8`, `…/master.m3u8` and `…/<claim>/<msn>.ts`. A playlist has an `ETag`; who
//! has that one already sends it in `If-None-Match`, with `Prefer: wait=<seconds>` (RFC 7240 §4.3), and gets its
//! successor as soon as there is one, or 304.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use isocast_claims::{Incarnation, NodeId, Owner, Pair};
use isocast_media::hls::SegmentName;
use isocast_media::{Codec, ts};

use crate::error::Refusal;
use crate::rooms::RoomId;

/// Below it is what peers get.
pub(crate) const PEER_HLS: &str = "/peer/hls";

/// The claim of whoever cut this: `<epoch> <incarnation> <node>`.
const CLAIM: HeaderName = HeaderName::from_static("isocast-claim");
/// What is not there, where the status is 404: a refusal's code, and for `codec_not_in_hls` the codec.
const ABSENT: HeaderName = HeaderName::from_static("isocast-absent");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a peer can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    /// The media playlist.
    Playlist,
    /// The multivariant one.
    Multivariant,
    Segment(SegmentName),
}

impl Object {
    pub(super) fn path(&self, room: &RoomId) -> String {
        let room = room.stream_name();
        match self {
            Self::Playlist => format!("{PEER_HLS}/{room}/index.m3u8"),
            Self::Multivariant => format!("{PEER_HLS}/{room}/master.m3u8"),
            Self::Segment(name) => format!("{PEER_HLS}/{room}/{name}"),
        }
    }

    /// As metrics call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Playlist | Self::Multivariant => "playlist",
            Self::Segment(_) => "segment",
        }
    }
}

/// Asks for what comes after the playlist with this tag, and to wait for it.
pub(super) fn ask_after(headers: &mut HeaderMap, known: Option<&HeaderValue>, wait: Duration) {
    if let Some(known) = known {
        headers.insert(header::IF_NONE_MATCH, known.clone());
    }
    let wait = format!("wait={}", wait.as_secs());
    let wait = HeaderValue::from_str(&wait).expect("a word and digits are a header value");
    headers.insert(PREFER, wait);
}

/// How long the asker would like this node to wait, `max` at most.
pub(crate) fn asked_wait(headers: &HeaderMap, max: Duration) -> Duration {
    let prefer = headers.get(PREFER).and_then(|value| value.to_str().ok());
    let seconds = prefer.and_then(|prefer| prefer.strip_prefix("wait="));
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(Duration::ZERO, |seconds| {
        Duration::from_secs(seconds).min(max)
    })
}

pub(crate) fn tell_claim(headers: &mut HeaderMap, pair: &Pair) {
    let Owner { node, incarnation } = &pair.owner;
    let claim = format!("{} {} {node}", pair.epoch, incarnation.0);
    let claim = HeaderValue::from_str(&claim).expect("a node's id is a header value");
    headers.insert(CLAIM, claim);
}

pub(super) fn told_claim(headers: &HeaderMap) -> Option<Pair> {
    let mut words = headers.get(CLAIM)?.to_str().ok()?.split(' ');
    let mut word = || words.next();
    let (epoch, incarnation, node) = (word()?, word()?, word()?);
    if word().is_some() {
        return None;
    }
    Some(Pair {
        epoch: epoch.parse().ok()?,
        owner: Owner {
            node: NodeId::parse(node).ok()?,
            incarnation: Incarnation(incarnation.parse().ok()?),
        },
    })
}

/// Why there is nothing, for an answer with the status 404.
pub(crate) fn tell_absent(headers: &mut HeaderMap, refusal: &Refusal) {
    let absent = match refusal {
        Refusal::CodecNotInHls(codec) => format!("{} {codec}", refusal.code()),
        _ => refusal.code().to_owned(),
    };
    if let Ok(absent) = HeaderValue::from_str(&absent) {
        headers.insert(ABSENT, absent);
    }
}

/// Why a peer says that there is nothing; what it does not tell is just not there.
pub(super) fn told_absent(headers: &HeaderMap) -> Refusal {
    let absent = headers.get(ABSENT).and_then(|value| value.to_str().ok());
    let (code, codec) = absent
        .map(|text| text.split_once(' ').unwrap_or((text, "")))
        .unwrap_or_default();
    let named = |it: &Codec| it.name() == codec;
    let codecs = Codec::BY_FOUR_CC.iter().map(|(_, codec)| *codec);
    let codec = codecs.into_iter().find(named);
    match (code, codec) {
        ("codec_not_in_hls", Some(codec)) if !ts::carries(codec) => {
            Refusal::CodecNotInHls(codec.name())
        }
        ("ended", _) => Refusal::Ended,
        ("no_segment", _) => Refusal::NoSegment,
        _ => Refusal::NotLive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_read_as_it_was_told() {
        let pair = Pair {
            epoch: 1_785_110_063_000,
            owner: Owner {
                node: NodeId::parse("isocast-0.isocast").unwrap(),
                incarnation: Incarnation(u64::MAX),
            },
        };
        let mut headers = HeaderMap::new();
        assert_eq!(told_claim(&headers), None);
        tell_claim(&mut headers, &pair);
        assert_eq!(told_claim(&headers), Some(pair));
        for text in [
            "", "1", "1 2", "1 2 ", "1 2 a b", "1 2 a/b", "-1 2 a", "1  2 a",
        ] {
            headers.insert(CLAIM, text.parse().unwrap());
            assert_eq!(told_claim(&headers), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_absent_is_read_as_it_was_told() {
        for refusal in [
            Refusal::NotLive,
            Refusal::Ended,
            Refusal::NoSegment,
            Refusal::CodecNotInHls("Opus"),
            Refusal::CodecNotInHls("AV1"),
        ] {
            let mut headers = HeaderMap::new();
            tell_absent(&mut headers, &refusal);
            assert_eq!(told_absent(&headers), refusal);
        }
        for text in ["", "codec_not_in_hls", "codec_not_in_hls H.264", "other"] {
            let headers = HeaderMap::from_iter([(ABSENT, text.parse().unwrap())]);
            assert_eq!(told_absent(&headers), Refusal::NotLive, "{text:?}");
        }
    }

    #[test]
    fn a_wait_is_whole_seconds_and_bounded() {
        let max = Duration::from_secs(4);
        let mut headers = HeaderMap::new();
        assert_eq!(asked_wait(&headers, max), Duration::ZERO);
        ask_after(&mut headers, None, Duration::from_secs(2));
        assert_eq!(asked_wait(&headers, max), Duration::from_secs(2));
        for (text, wait_s) in [("wait=99", 4), ("wait=-1", 0), ("respond-async", 0)] {
            headers.insert(PREFER, text.parse().unwrap());
            assert_eq!(asked_wait(&headers, max), Duration::from_secs(wait_s));
        }
    }
}
