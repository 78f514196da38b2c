//! What nodes say to each other: the first byte chooses the message, the rest is its protobuf.

use std::fmt::Debug;

use isocast_proto::{About, Asked, Bad, Description, Introduction, Verdict, v1};
use prost::Message;

/// `read` for what a node can mean, `refused` for what none does, `malformed` for what is no protobuf.
pub fn target(data: &[u8]) -> &'static str {
    let Some((choice, bytes)) = data.split_first() else {
        return "malformed";
    };
    match choice % 7 {
        0 => message::<v1::QuestionRequest, Asked>(bytes, TryInto::try_into),
        1 => message::<v1::AnnounceRequest, Asked>(bytes, TryInto::try_into),
        2 => message::<v1::DescribeRequest, About>(bytes, TryInto::try_into),
        3 => message(bytes, |it: v1::IntroduceResponse| {
            Introduction::try_from(it)
        }),
        4 => message(bytes, v1::QuestionResponse::read),
        5 => message(bytes, |it: v1::AnnounceResponse| Verdict::try_from(it)),
        _ => message(bytes, |it: v1::DescribeResponse| Description::try_from(it)),
    }
}

/// What is read is written so that the same is read again.
fn message<Wire, Read>(bytes: &[u8], read: impl Fn(Wire) -> Result<Read, Bad>) -> &'static str
where
    Wire: Message + Default + for<'r> From<&'r Read>,
    Read: Debug + PartialEq,
{
    let Ok(wire) = Wire::decode(bytes) else {
        return "malformed";
    };
    let Ok(meant) = read(wire) else {
        return "refused";
    };
    let again = Wire::decode(&Wire::from(&meant).encode_to_vec()[..]).expect("it was written here");
    assert_eq!(read(again).as_ref(), Ok(&meant));
    "read"
}
