//! As much HTTP/1.1 as a viewer needs: one request, and the answer's body (RFC 9112).

use std::net::SocketAddr;

use anyhow::{Context, bail};

/// More than any server here sends, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// A chunk's size line, its extensions included, in bytes.
const SIZE_LINE_BYTES_MAX: usize = 256;
const HEAD_END: &[u8] = b"\r\n\r\n";

pub(super) fn request(path: &str, host: SocketAddr) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: isocast-bench\r\n\r\n")
}

/// Takes the head and the transfer coding off an answer.
#[derive(Debug)]
pub(super) struct Response {
    place: Place,
    /// The unfinished head or size line.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    /// The body goes on to the connection's end (§6.3).
    Plain,
    /// §7.1.
    ChunkSize,
    Chunk {
        left: usize,
    },
    /// The line end behind a chunk.
    ChunkEnd {
        left: usize,
    },
}

impl Default for Response {
    fn default() -> Self {
        Self {
            place: Place::Head,
            line: Vec::new(),
        }
    }
}

impl Response {
    /// Hands the body's bytes on, piece by piece.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        body: &mut impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match self.place {
                Place::Head => {
                    self.head_byte(*first)?;
                    rest
                }
                Place::ChunkSize => {
                    self.size_byte(*first)?;
                    rest
                }
                Place::Plain => {
                    body(bytes)?;
                    &[]
                }
                Place::Chunk { left } => {
                    let (piece, rest) = bytes.split_at(left.min(bytes.len()));
                    body(piece)?;
                    self.place = match left - piece.len() {
                        0 => Place::ChunkEnd { left: 2 },
                        left => Place::Chunk { left },
                    };
                    rest
                }
                Place::ChunkEnd { left } => {
                    self.place = match left - 1 {
                        0 => Place::ChunkSize,
                        left => Place::ChunkEnd { left },
                    };
                    rest
                }
            };
        }
        Ok(())
    }

    fn head_byte(&mut self, byte: u8) -> anyhow::Result<()> {
        self.line.push(byte);
        if self.line.len() > HEAD_BYTES_MAX {
            bail!("the answer's head does not end");
        }
        if self.line.ends_with(HEAD_END) {
            let head = String::from_utf8_lossy(&self.line).to_ascii_lowercase();
            let status = head.lines().next().unwrap_or_default();
            if status.split(' ').nth(1) != Some("200") {
                bail!("the server answered {status}");
            }
            self.place = match head.contains("\r\ntransfer-encoding: chunked\r\n") {
                true => Place::ChunkSize,
                false => Place::Plain,
            };
            self.line = Vec::new();
        }
        Ok(())
    }

    fn size_byte(&mut self, byte: u8) -> anyhow::Result<()> {
        if byte != b'\n' {
            self.line.push(byte);
            if self.line.len() > SIZE_LINE_BYTES_MAX {
                bail!("a chunk's size line does not end");
            }
            return Ok(());
        }
        let line = std::str::from_utf8(&self.line).context("a chunk's size is no number")?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let left = usize::from_str_radix(digits, 16).context("a chunk's size is no number")?;
        if left == 0 {
            bail!("the stream has ended");
        }
        self.place = Place::Chunk { left };
        self.line.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_out_of_their_coding_or_the_reason_is_told() {
        const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n";
        const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nA: b\r\n\r\n";
        let long = "x".repeat(300);
        for (head, rest, expected) in [
            (PLAIN, "abc", Ok("abc")),
            (PLAIN, "", Ok("")),
            (CHUNKED, "3\r\nabc\r\n", Ok("abc")),
            (
                CHUNKED,
                "A;name=value\r\n0123456789\r\n2\r\n\r\n\r\n1\r\n!",
                Ok("0123456789\r\n!"),
            ),
            (
                CHUNKED,
                "3\r\nabc\r\n0\r\n\r\n",
                Err("the stream has ended"),
            ),
            (CHUNKED, "zz\r\n", Err("a chunk's size is no number")),
            (CHUNKED, &long, Err("a chunk's size line does not end")),
            (
                "HTTP/1.1 404 Not Found\r\n\r\n",
                "",
                Err("the server answered http/1.1 404 not found"),
            ),
        ] {
            let bytes = [head, rest].concat().into_bytes();
            for piece in [1, 4, bytes.len()] {
                let (mut response, mut out) = (Response::default(), Vec::new());
                let mut keep = |body: &[u8]| {
                    out.extend_from_slice(body);
                    Ok(())
                };
                let read = bytes
                    .chunks(piece)
                    .try_for_each(|it| response.read(it, &mut keep));
                let got = read
                    .map(|()| String::from_utf8(out).unwrap())
                    .map_err(|it| it.to_string());
                assert_eq!(
                    got,
                    expected.map(str::to_owned).map_err(str::to_owned),
                    "{rest}"
                );
            }
        }
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let endless = vec![b'a'; HEAD_BYTES_MAX + 1];
        assert!(Response::default().read(&endless, &mut |_| Ok(())).is_err());
    }
}
