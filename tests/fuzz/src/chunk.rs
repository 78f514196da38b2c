//! RTMP chunks. Set Chunk Size and Abort are obeyed, as a session would.

use bytes::BytesMut;
use isocast_media::rtmp::{
    Error,
    chunk::{CHUNK_SIZE_DEFAULT, CHUNK_SIZE_MAX, Message, ReadLimits, Reader, write},
    message::Body,
};

/// `read` where a whole message came out, `waiting` where none did yet, or the reason of a
/// refusal, with a publisher's limits. The messages are the same however the stream is cut, and
/// come back when we write them.
pub fn target(data: &[u8]) -> &'static str {
    let _ = read(data, 7, ReadLimits::STRANGER);
    let (messages, ended) = read(data, data.len().max(1), ReadLimits::PUBLISHER);
    for piece_bytes in [1, 7] {
        let cut = read(data, piece_bytes, ReadLimits::PUBLISHER);
        assert_eq!(cut, (messages.clone(), ended.clone()));
    }
    let written = write_all(&messages);
    let (again, _) = read(&written, written.len().max(1), ReadLimits::PUBLISHER);
    assert_eq!(again, messages);
    match ended {
        Ok(()) if messages.is_empty() => "waiting",
        Ok(()) => "read",
        Err(error) => error.reason(),
    }
}

fn read(data: &[u8], piece_bytes: usize, limits: ReadLimits) -> (Vec<Message>, Result<(), Error>) {
    let mut reader = Reader::new(limits);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for piece in data.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        loop {
            let message = match reader.read(&mut input) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            };
            let obeyed = obey(&mut reader, &message);
            messages.push(message);
            if let Err(error) = obeyed {
                return (messages, Err(error));
            }
        }
    }
    (messages, Ok(()))
}

fn obey(reader: &mut Reader, message: &Message) -> Result<(), Error> {
    match Body::parse(message.type_id, message.payload.clone()) {
        Ok(Body::SetChunkSize(size)) => reader.set_chunk_size(size),
        Ok(Body::Abort { csid }) => {
            reader.abort(csid);
            Ok(())
        }
        // Other messages and broken ones are not the chunk reader's business.
        _ => Ok(()),
    }
}

/// The messages in order, each in chunks of the size that the ones before it set.
fn write_all(messages: &[Message]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut chunk_size = CHUNK_SIZE_DEFAULT;
    for message in messages {
        write(message, chunk_size, &mut out);
        if let Ok(Body::SetChunkSize(size)) = Body::parse(message.type_id, message.payload.clone())
        {
            chunk_size = (size as usize).clamp(1, CHUNK_SIZE_MAX);
        }
    }
    out
}
