//! FLV tag bodies, as RTMP messages bring them, and FLV streams.

use bytes::{Bytes, BytesMut};
use isocast_media::{
    Frame, MediaMs,
    flv::{Demuxer, Error, Tag, TagType, body_len, file_header, import, write_body, write_tag},
};

/// `read`, `nothing`, `unsupported`, `limit` or `refused`. An input that starts with the byte of
/// a tag type (8, 9, 18) is that tag's body; any other is a stream.
pub fn target(data: &[u8]) -> &'static str {
    let read = match data.split_first() {
        Some((first, body)) => match TagType::from_byte(*first) {
            Some(tag_type) => read_body(tag_type, body),
            None => read_stream(data),
        },
        None => read_stream(data),
    };
    match read {
        Ok(0) => "nothing",
        Ok(_) => "read",
        Err(Error::UnsupportedCodec { .. }) => "unsupported",
        Err(Error::TooLong { .. }) => "limit",
        Err(Error::Truncated | Error::Malformed { .. } | Error::Metadata(_)) => "refused",
    }
}

/// A frame that was read is written and read again, and is the same.
fn read_body(tag_type: TagType, body: &[u8]) -> Result<usize, Error> {
    let dts = MediaMs(0);
    let frames = import(tag_type, dts, Bytes::copy_from_slice(body))?;
    let tracks = frames.len();
    for frame in frames {
        let mut written = BytesMut::new();
        write_body(&frame, &mut written);
        assert_eq!(written.len(), body_len(&frame));
        assert!(written.len() <= body.len(), "a body grew");
        let again = import(tag_type, dts, written.freeze());
        assert_eq!(again, Ok(vec![frame]));
    }
    Ok(tracks)
}

/// The tags are the same however the stream is cut, and their frames come back from a stream
/// that we write. Counts the frames before the first error, which is answered.
fn read_stream(stream: &[u8]) -> Result<usize, Error> {
    let (tags, ended) = tags_of(stream, stream.len().max(1));
    for piece_bytes in [1, 7] {
        assert_eq!(tags_of(stream, piece_bytes), (tags.clone(), ended.clone()));
    }
    let (frames, refused) = frames_of(tags);
    let mut written = BytesMut::from(&file_header(true, true)[..]);
    for frame in &frames {
        write_tag(frame, &mut written);
    }
    let (tags, ended_again) = tags_of(&written, written.len());
    assert_eq!(ended_again, Ok(()));
    assert_eq!(frames_of(tags), (frames.clone(), Ok(())));
    refused.and(ended).map(|()| frames.len())
}

fn tags_of(stream: &[u8], piece_bytes: usize) -> (Vec<Tag>, Result<(), Error>) {
    let mut demuxer = Demuxer::new();
    let mut tags = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        demuxer.push(piece);
        loop {
            match demuxer.next_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(error) => return (tags, Err(error)),
            }
        }
    }
    (tags, Ok(()))
}

fn frames_of(tags: Vec<Tag>) -> (Vec<Frame>, Result<(), Error>) {
    let mut frames = Vec::new();
    for tag in tags {
        match import(tag.tag_type, MediaMs(tag.timestamp.into()), tag.body) {
            Ok(frame) => frames.extend(frame),
            Err(error) => return (frames, Err(error)),
        }
    }
    (frames, Ok(()))
}
