//! The RTMP handshake (§5.2), plain and with the HMAC-SHA256 digests that Flash introduced.
//!
//! The digest variant is in no Adobe document; its layout is what every server and player agree
//! on: a 32-byte digest of the packet without the digest, at a place that four bytes of the
//! packet add up to, and a signature of the peer's digest at the end of S2.

use bytes::{Buf, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Error;

/// C0 and S0: the only version there is.
const VERSION: u8 = 3;
/// C1, C2, S1 and S2 all have this length in bytes (§5.2.3).
pub const PACKET_LEN: usize = 1536;

const DIGEST_LEN: usize = 32;
/// Every place a digest can be: the offset bytes add up to at most 4 × 255, taken modulo 728.
const DIGEST_PLACES: usize = 728;
/// Where the four offset bytes stand, in the two layouts in use.
const OFFSET_BYTES_AT: [usize; 2] = [8, 772];

const PLAYER_KEY: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";
/// Follows [`SERVER_KEY`] where S2 is signed.
const SIGNATURE_SALT: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57,
    0x6E, 0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

type Packet = [u8; PACKET_LEN];

/// The serving end: C0 and C1 in, S0 to S2 out, C2 in.
#[derive(Debug)]
pub struct Server {
    seed: u64,
    state: ServerState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ServerState {
    AwaitC0C1,
    AwaitC2,
    Done,
}

impl Server {
    /// `seed` makes the arbitrary bytes of S1; it need not be secret.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: ServerState::AwaitC0C1,
        }
    }

    /// Takes what it needs from `input` and answers into `output`; true once the handshake is done.
    /// Nothing is answered before a whole C1 of the right version is here.
    pub fn receive(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, Error> {
        if self.state == ServerState::AwaitC0C1 {
            if let Some(&version) = input.first()
                && version != VERSION
            {
                return Err(Error::Version(version));
            }
            let Some(c1) = packet_at(input, 1) else {
                return Ok(false);
            };
            input.advance(1 + PACKET_LEN);
            answer(&c1, self.seed, output);
            self.state = ServerState::AwaitC2;
        }
        // C2 is not compared with S1: several encoders in use send something else.
        if self.state == ServerState::AwaitC2 && input.len() >= PACKET_LEN {
            input.advance(PACKET_LEN);
            self.state = ServerState::Done;
        }
        Ok(self.state == ServerState::Done)
    }
}

/// The calling end, plain handshake: C0 and C1 out, S0 to S2 in, C2 out.
#[derive(Debug)]
pub struct Client {
    done: bool,
}

impl Client {
    /// Writes C0 and C1 into `output` at once.
    pub fn start(seed: u64, output: &mut BytesMut) -> Self {
        let mut c1 = arbitrary(seed);
        c1[..8].fill(0); // time 0, and the four zero bytes that ask for the plain handshake
        output.extend_from_slice(&[VERSION]);
        output.extend_from_slice(&c1);
        Self { done: false }
    }

    pub fn receive(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Result<bool, Error> {
        if self.done {
            return Ok(true);
        }
        if let Some(&version) = input.first()
            && version != VERSION
        {
            return Err(Error::Version(version));
        }
        if input.len() < 1 + 2 * PACKET_LEN {
            return Ok(false);
        }
        let s1 = packet_at(input, 1).expect("the length was checked above");
        output.extend_from_slice(&s1);
        input.advance(1 + 2 * PACKET_LEN);
        self.done = true;
        Ok(true)
    }
}

/// S0, S1 and S2 for this C1. A C1 without a valid digest, or with a zero version field, gets
/// the plain answer.
fn answer(c1: &Packet, seed: u64, output: &mut BytesMut) {
    let mut s1 = arbitrary(seed);
    s1[..4].fill(0);
    let mut s2 = *c1;
    if let Some((layout, digest)) = find_digest(c1) {
        s1[4..8].copy_from_slice(&[4, 5, 0, 1]);
        write_digest(&mut s1, layout, SERVER_KEY);
        let mut key = SERVER_KEY.to_vec();
        key.extend_from_slice(&SIGNATURE_SALT);
        let signing_key = hmac_sha256(&key, &[&digest]);
        s2 = arbitrary(!seed);
        let (signed, signature) = s2.split_at_mut(PACKET_LEN - DIGEST_LEN);
        signature.copy_from_slice(&hmac_sha256(&signing_key, &[signed]));
    } else {
        s1[4..8].fill(0);
    }
    output.extend_from_slice(&[VERSION]);
    output.extend_from_slice(&s1);
    output.extend_from_slice(&s2);
}

/// The layout in which `c1` carries a valid digest of a player, and that digest.
fn find_digest(c1: &Packet) -> Option<(usize, [u8; DIGEST_LEN])> {
    if c1[4..8] == [0; 4] {
        return None;
    }
    OFFSET_BYTES_AT.into_iter().find_map(|layout| {
        let at = digest_place(c1, layout);
        let expected = hmac_sha256(PLAYER_KEY, &[&c1[..at], &c1[at + DIGEST_LEN..]]);
        (c1[at..at + DIGEST_LEN] == expected).then_some((layout, expected))
    })
}

fn write_digest(packet: &mut Packet, layout: usize, key: &[u8]) {
    let at = digest_place(packet, layout);
    let digest = hmac_sha256(key, &[&packet[..at], &packet[at + DIGEST_LEN..]]);
    packet[at..at + DIGEST_LEN].copy_from_slice(&digest);
}

/// Always leaves room for the digest: 772 + 4 + 727 + 32 = 1535 < 1536.
fn digest_place(packet: &Packet, layout: usize) -> usize {
    let sum: usize = packet[layout..layout + 4]
        .iter()
        .map(|&byte| usize::from(byte))
        .sum();
    layout + 4 + sum % DIGEST_PLACES
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn packet_at(input: &[u8], at: usize) -> Option<Packet> {
    input.get(at..at + PACKET_LEN)?.try_into().ok()
}

/// The packet's random bytes (§5.2.3: "need not be cryptographically secure"), by SplitMix64.
fn arbitrary(seed: u64) -> Packet {
    let mut packet = [0; PACKET_LEN];
    let mut state = seed;
    for word in packet.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    packet
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn c0c1(packet: &Packet) -> BytesMut {
        let mut bytes = BytesMut::from(&[VERSION][..]);
        bytes.extend_from_slice(packet);
        bytes
    }

    #[test]
    fn the_plain_ends_meet() {
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut client = Client::start(1, &mut to_server);
        let mut server = Server::new(2);
        assert_eq!(server.receive(&mut to_server, &mut to_client), Ok(false));
        assert_eq!(client.receive(&mut to_client, &mut to_server), Ok(true));
        assert_eq!(server.receive(&mut to_server, &mut to_client), Ok(true));
        assert!(to_server.is_empty() && to_client.is_empty());
    }

    #[test]
    fn s2_echoes_c1_when_there_is_no_digest() {
        let mut output = BytesMut::new();
        let c1 = arbitrary(7);
        let mut server = Server::new(2);
        server.receive(&mut c0c1(&c1), &mut output).unwrap();
        assert_eq!(output[0], VERSION);
        assert_eq!(
            output[1 + PACKET_LEN..],
            c1,
            "a version field without a valid digest is plain"
        );
    }

    #[test]
    fn a_digest_in_either_layout_is_answered_with_digests() {
        for layout in OFFSET_BYTES_AT {
            let mut c1 = arbitrary(9);
            c1[4..8].copy_from_slice(&[0x80, 0, 7, 2]);
            write_digest(&mut c1, layout, PLAYER_KEY);
            let mut output = BytesMut::new();
            Server::new(3).receive(&mut c0c1(&c1), &mut output).unwrap();

            let s1 = packet_at(&output, 1).unwrap();
            let at = digest_place(&s1, layout);
            let digest = hmac_sha256(SERVER_KEY, &[&s1[..at], &s1[at + DIGEST_LEN..]]);
            assert_eq!(s1[at..at + DIGEST_LEN], digest, "layout {layout}");

            let s2 = packet_at(&output, 1 + PACKET_LEN).unwrap();
            let (_, c1_digest) = find_digest(&c1).unwrap();
            let signing_key = hmac_sha256(&[SERVER_KEY, &SIGNATURE_SALT].concat(), &[&c1_digest]);
            let (signed, signature) = s2.split_at(PACKET_LEN - DIGEST_LEN);
            assert_eq!(
                signature,
                hmac_sha256(&signing_key, &[signed]),
                "layout {layout}"
            );
        }
    }

    #[test]
    fn strangers_get_no_answer() {
        for first in [0u8, 2, 6, 255, b'G', 0x16, b'S'] {
            let mut input = BytesMut::from(&[first, 1, 2, 3][..]);
            let mut output = BytesMut::new();
            let result = Server::new(1).receive(&mut input, &mut output);
            assert_eq!(result, Err(Error::Version(first)));
            assert!(output.is_empty());
        }
    }

    #[test]
    fn what_follows_the_handshake_is_left_alone() {
        let mut input = c0c1(&arbitrary(1));
        input.extend_from_slice(&[0; PACKET_LEN]);
        input.extend_from_slice(b"next");
        assert_eq!(
            Server::new(1).receive(&mut input, &mut BytesMut::new()),
            Ok(true)
        );
        assert_eq!(&input[..], b"next");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_end_well(bytes in prop::collection::vec(any::<u8>(), 0..4000), cut in 0usize..4000) {
            let mut server = Server::new(1);
            let mut output = BytesMut::new();
            let cut = cut.min(bytes.len());
            let mut input = BytesMut::from(&bytes[..cut]);
            if server.receive(&mut input, &mut output).is_ok() {
                input.extend_from_slice(&bytes[cut..]);
                let _ = server.receive(&mut input, &mut output);
            }
            prop_assert!(output.len() <= 1 + 2 * PACKET_LEN);
        }
    }
}
