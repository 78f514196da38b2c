//! Frames as RTMP players receive them: messages that carry FLV tag bodies (RTMP 1.0 §7.1.4,
//! §7.1.5), the same bytes for every player.

use bytes::{Bytes, BytesMut};
use isocast_media::rtmp::Media;
use isocast_media::{Frame, flv};

use crate::hub::{Item, Tracks, Wire};

pub(crate) fn bytes(item: &Item, tracks: Tracks) -> Bytes {
    match item {
        Item::Frame(slot) => slot.serialised(Wire::Rtmp, |frame| {
            let mut out = BytesMut::new();
            write(frame, &mut out);
            out.freeze()
        }),
        Item::Join(gop) => gop.serialised(Wire::Rtmp, tracks, |gop| {
            let mut out = BytesMut::new();
            gop.header_frames(tracks)
                .for_each(|frame| write(&frame, &mut out));
            out.freeze()
        }),
    }
}

fn write(frame: &Frame, out: &mut BytesMut) {
    let mut body = BytesMut::with_capacity(flv::body_len(frame));
    flv::write_body(frame, &mut body);
    let media = Media {
        track: frame.track(),
        timestamp: frame.dts.wrapped(),
        body: body.freeze(),
    };
    media.write(out);
}
