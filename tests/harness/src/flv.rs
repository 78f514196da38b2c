//! Tags of an FLV file, read without the project's own reader, for it is what is tested.

use std::path::Path;

use bytes::Bytes;
use isocast_media::frame::Track;
use isocast_media::rtmp::Media;

/// Reads the tags of a file as RTMP messages. A tag that is cut off at the end is left out.
///
/// # Panics
/// If it is no FLV file.
#[must_use]
pub fn read(file: &Path) -> Vec<Media> {
    let bytes = std::fs::read(file).expect("the file is there");
    tags(&bytes)
}

/// Reads the tags of an FLV file's bytes (Adobe Flash Video File Format 10.1, annex E.3).
///
/// # Panics
/// If they are none.
#[must_use]
pub fn tags(bytes: &[u8]) -> Vec<Media> {
    assert!(bytes.starts_with(b"FLV\x01"), "not an FLV file");
    // 9 bytes of header, then the size of the tag before each tag.
    let mut rest = &bytes[9 + 4..];
    let mut tags = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(11) {
        let size = be24(&head[1..]) as usize;
        let Some((body, after)) = after.split_at_checked(size) else {
            break;
        };
        let track = match head[0] {
            8 => Track::Audio,
            9 => Track::Video,
            18 => Track::Data,
            other => panic!("a tag of type {other}"),
        };
        tags.push(Media {
            track,
            timestamp: be24(&head[4..]) | u32::from(head[7]) << 24,
            body: Bytes::copy_from_slice(body),
        });
        rest = after.get(4..).unwrap_or_default();
    }
    tags
}

fn be24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}
