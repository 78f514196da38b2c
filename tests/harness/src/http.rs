//! One HTTP/1.1 request on a connection of its own, and its answer as it came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// For connecting, and between two pieces of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// If the body is no JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let json = serde_json::from_slice(&self.body);
        json.unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The code of an error, empty if there is none.
    #[must_use]
    pub fn error_code(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// Asks for a path and reads the whole answer.
///
/// # Panics
/// If there is no answer.
#[must_use]
pub fn get(to: SocketAddr, path: &str) -> Answer {
    request(to, "GET", path, &[], b"")
}

/// # Panics
/// If there is no answer.
#[must_use]
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let asked = format!("{method} {path}");
    let mut answer =
        open(to, method, path, headers, body).unwrap_or_else(|error| panic!("{asked}: {error}"));
    answer
        .read_to_end()
        .unwrap_or_else(|error| panic!("{asked}: {error}"));
    answer.finish()
}

/// An answer whose body may go on for long.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    head: Answer,
    raw: Vec<u8>,
    /// Bytes of the body that were given out as lines.
    told: usize,
}

/// Sends a request and reads the head of its answer.
pub fn open(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Stream> {
    let mut socket = TcpStream::connect_timeout(&to, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("connection"))
    {
        text += "Connection: close\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", body.len());
    socket.write_all(text.as_bytes())?;
    socket.write_all(body)?;
    read_head(socket)
}

fn read_head(mut socket: TcpStream) -> std::io::Result<Stream> {
    let mut raw = Vec::new();
    let end = loop {
        if let Some(at) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if read_some(&mut socket, &mut raw)? == 0 {
            let text = format!("closed after {} bytes", raw.len());
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, text));
        }
    };
    let text = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = text.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let head = Answer {
        status: status.unwrap_or_default(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let raw = raw.split_off(end + 4);
    Ok(Stream {
        socket,
        head,
        raw,
        told: 0,
    })
}

impl Stream {
    #[must_use]
    pub fn head(&self) -> &Answer {
        &self.head
    }

    /// Reads until the body has `bytes` bytes or ends; what has come so far.
    ///
    /// # Panics
    /// If neither happens within `seconds`.
    pub fn read_at_least(&mut self, bytes: usize, seconds: u64) -> Vec<u8> {
        let give_up = Instant::now() + Duration::from_secs(seconds);
        loop {
            let body = self.body();
            if body.len() >= bytes {
                return body;
            }
            assert!(
                Instant::now() < give_up,
                "{} bytes within {seconds} s",
                body.len()
            );
            if read_some(&mut self.socket, &mut self.raw).unwrap_or(0) == 0 {
                return body;
            }
        }
    }

    /// The next line of the body; `None` where it ends.
    ///
    /// # Panics
    /// If neither comes within `seconds`.
    pub fn next_line(&mut self, seconds: u64) -> Option<String> {
        let give_up = Instant::now() + Duration::from_secs(seconds);
        loop {
            let body = self.body();
            let rest = body.get(self.told..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.told += end + 1;
                return Some(String::from_utf8_lossy(&rest[..end]).into_owned());
            }
            assert!(Instant::now() < give_up, "no line within {seconds} s");
            if read_some(&mut self.socket, &mut self.raw).unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Reads to the end.
    pub fn read_to_end(&mut self) -> std::io::Result<()> {
        let sized = self
            .head
            .header("content-length")
            .and_then(|size| size.parse().ok());
        while sized.is_none_or(|size: usize| self.raw.len() < size) {
            if read_some(&mut self.socket, &mut self.raw)? == 0 {
                break;
            }
        }
        Ok(())
    }

    #[must_use]
    pub fn finish(self) -> Answer {
        Answer {
            body: self.body(),
            ..self.head
        }
    }

    /// The body as far as it has come.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        match self.head.header("transfer-encoding") {
            Some("chunked") => unchunk(&self.raw),
            _ => self.raw.clone(),
        }
    }
}

fn read_some(socket: &mut TcpStream, into: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut buffer = [0; 16 << 10];
    let count = socket.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// The content of the chunks that are complete (RFC 9112 §7.1).
fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&raw[..line]).unwrap_or_default();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16);
        let Some(chunk) = size
            .ok()
            .and_then(|size| raw.get(line + 2..line + 2 + size))
        else {
            break;
        };
        if chunk.is_empty() {
            break;
        }
        body.extend_from_slice(chunk);
        raw = raw.get(line + 2 + chunk.len() + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::unchunk;

    #[test]
    fn chunks_are_put_together() {
        for (raw, body) in [
            ("3\r\nabc\r\n0\r\n\r\n", "abc"),
            ("3\r\nabc\r\n2;x=y\r\nde\r\n", "abcde"),
            ("3\r\nabc\r\n5\r\nde", "abc"),
            ("", ""),
            ("0\r\n\r\n", ""),
        ] {
            assert_eq!(unchunk(raw.as_bytes()), body.as_bytes(), "{raw:?}");
        }
    }
}
