use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::wait;

/// A connection is given up after so long without a byte.
const PATIENCE: Duration = Duration::from_secs(15);

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Manner {
    Status(u16),
    /// Never, while the connection stays open.
    Hang,
    /// With a redirect there.
    Redirect(String),
    /// With 200 and a body of so many bytes.
    Huge(usize),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Request {
    /// A header's value; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// # Panics
    /// If the body is no JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

/// An HTTP server that writes down what it is sent. It ends with the test's process.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    manners: VecDeque<Manner>,
    requests: Vec<Request>,
}

impl Receiver {
    /// Answers the first requests by turns like this, and all others with 204.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn start(manners: impl IntoIterator<Item = Manner>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let state = Arc::new(Mutex::new(State {
            manners: manners.into_iter().collect(),
            requests: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(tcp, &state));
            }
        });
        Self { address, state }
    }

    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// Waits until so many requests have come; all that have.
    ///
    /// # Panics
    /// If they have not in time.
    #[must_use]
    pub fn wait_for(&self, count: usize, seconds: u64) -> Vec<Request> {
        wait::until(&format!("{count} requests"), seconds, || {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
    }
}

fn serve(tcp: TcpStream, state: &Mutex<State>) -> Option<()> {
    tcp.set_read_timeout(Some(PATIENCE)).ok()?;
    tcp.set_write_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(tcp.try_clone().ok()?);
    let request = read(&mut reader)?;
    let manner = {
        let mut state = lock(state);
        state.requests.push(request);
        state.manners.pop_front().unwrap_or(Manner::Status(204))
    };
    let mut tcp = tcp;
    let head = |status: u16, more: &str| {
        format!("HTTP/1.1 {status} As Told\r\nconnection: close\r\n{more}\r\n")
    };
    match manner {
        Manner::Status(204) => tcp.write_all(head(204, "").as_bytes()).ok(),
        Manner::Status(status) => {
            let head = head(status, "content-length: 0\r\n");
            tcp.write_all(head.as_bytes()).ok()
        }
        Manner::Redirect(to) => {
            let head = head(302, &format!("location: {to}\r\ncontent-length: 0\r\n"));
            tcp.write_all(head.as_bytes()).ok()
        }
        Manner::Huge(bytes) => {
            let head = head(200, &format!("content-length: {bytes}\r\n"));
            tcp.write_all(head.as_bytes()).ok()?;
            let piece = [b'x'; 64 << 10];
            (0..bytes / piece.len())
                .try_for_each(|_| tcp.write_all(&piece))
                .ok()
        }
        // Until the other side has had enough.
        Manner::Hang => reader.read(&mut [0; 1]).map(drop).ok(),
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let line = lines.next()?;
    let header = |line: String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        headers,
        body,
        at: Instant::now(),
    })
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
