//! The RTMP handshake, both ends: the same bytes come as C0 to C2 and as S0 to S2.

use bytes::BytesMut;
use isocast_media::rtmp::{
    Error,
    handshake::{Client, PACKET_LEN, Server},
};

/// What the serving end made of it: `waiting` for C1, `greeted` with S0 to S2, `done`, or the
/// reason of a refusal. It is the same however the bytes are cut.
pub fn target(data: &[u8]) -> &'static str {
    let whole = serve(data, data.len().max(1));
    assert_eq!(serve(data, 509), whole);
    check_client(data);
    match &whole.result {
        Ok(done) => {
            let greeted = !whole.output.is_empty();
            assert_eq!(greeted, data.len() > PACKET_LEN);
            assert!(!greeted || whole.output.len() == 1 + 2 * PACKET_LEN);
            match (done, greeted) {
                (true, _) => "done",
                (false, true) => "greeted",
                (false, false) => "waiting",
            }
        }
        Err(error) => {
            assert!(whole.output.is_empty(), "a stranger was answered");
            error.reason()
        }
    }
}

#[derive(Debug, PartialEq)]
struct Served {
    result: Result<bool, Error>,
    output: BytesMut,
    /// Bytes behind the handshake, left for the chunk reader.
    rest: usize,
}

fn serve(data: &[u8], piece_bytes: usize) -> Served {
    let mut server = Server::new(1);
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut result = Ok(false);
    for piece in data.chunks(piece_bytes) {
        input.extend_from_slice(piece);
        result = server.receive(&mut input, &mut output);
        if result.is_err() {
            break;
        }
    }
    // How much came behind a refused byte depends on the cut.
    let rest = if result.is_ok() { input.len() } else { 0 };
    Served {
        result,
        output,
        rest,
    }
}

/// The calling end echoes S1 (§5.2.4) once all of S0 to S2 is here, and nothing before.
fn check_client(data: &[u8]) {
    let (mut input, mut output) = (BytesMut::from(data), BytesMut::new());
    let mut client = Client::start(1, &mut output);
    assert_eq!(output.split().len(), 1 + PACKET_LEN);
    match client.receive(&mut input, &mut output) {
        Ok(true) => {
            assert_eq!(output, data[1..=PACKET_LEN]);
            assert_eq!(input.len(), data.len() - 1 - 2 * PACKET_LEN);
        }
        Ok(false) => assert!(output.is_empty() && data.len() < 1 + 2 * PACKET_LEN),
        Err(_) => assert!(output.is_empty()),
    }
}
