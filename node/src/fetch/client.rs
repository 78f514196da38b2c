use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use isocast_claims::Pair;
use isocast_media::hls::PLAYLIST_BYTES_MAX;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::peer::{Ask, Call, Failure, Found, Holder, Reply};
use super::wire::{self, Object};
use crate::outbound::{Connection, Error};
use crate::sync;

/// Connects to a peer's internal port, so that HTTP/2 can be spoken there, and says who this node is.
pub(super) trait Dial: Send + Sync + Debug {
    /// Within a deadline of its own.
    fn dial<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<Box<dyn Connection>, Error>>;

    /// What a request has to carry for the peer to take it.
    fn bearer(&self) -> BoxFuture<'_, Option<HeaderValue>>;
}

/// The largest segment that nodes cut, and a little of the next frame.
const SEGMENT_BYTES_MAX: usize = 65 << 20;
/// Requests at once on one connection: a node takes 100.
const STREAMS_MAX: usize = 90;
/// Connections to one peer: 720 playlists can be waited for.
const CONNECTIONS_MAX: usize = 8;
/// A peer that has gone without a word is noticed after both of these.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// What may be on its way: 4 MiB fill 10 Gbit/s at 3 ms.
const WINDOW_BYTES: u32 = 4 << 20;

/// Requests to peers over HTTP/2 connections that stay open.
#[derive(Debug)]
pub(crate) struct Client {
    dial: Arc<dyn Dial>,
    lines: sync::Mutex<HashMap<Holder, Arc<Line>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The connections to one peer. One is made at a time, and others wait for it.
type Line = Mutex<Vec<Open>>;

#[derive(Debug)]
struct Open {
    sender: SendRequest<Empty<Bytes>>,
    places: Arc<Semaphore>,
}

impl Client {
    pub(super) fn new(dial: Arc<dyn Dial>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            dial,
            lines: sync::Mutex::default(),
            tasks,
            stop,
        }
    }

    async fn exchange(&self, holder: &Holder, ask: &Ask) -> Result<Reply, Failure> {
        let (mut sender, _place) = self.sender(holder).await?;
        let request = self.request(holder, ask).await?;
        let response = sender.send_request(request).await.map_err(unreachable)?;
        let bytes_max = match ask.object {
            Object::Playlist | Object::Multivariant => PLAYLIST_BYTES_MAX,
            Object::Segment(_) => SEGMENT_BYTES_MAX,
        };
        reply(response, bytes_max).await
    }

    /// A connection with a place for one more request, and that place.
    async fn sender(
        &self,
        holder: &Holder,
    ) -> Result<(SendRequest<Empty<Bytes>>, OwnedSemaphorePermit), Failure> {
        let line = {
            let mut lines = self.lines.lock();
            // Peers that have gone are let go of with their connections.
            lines.retain(|known, line| known == holder || !is_idle(line));
            Arc::clone(lines.entry(holder.clone()).or_default())
        };
        let mut open = line.lock().await;
        open.retain(|it| !it.sender.is_closed());
        for Open { sender, places } in open.iter() {
            if let Ok(place) = Arc::clone(places).try_acquire_owned() {
                return Ok((sender.clone(), place));
            }
        }
        if open.len() == CONNECTIONS_MAX {
            return Err(Failure::Garbled("more requests at once than it takes"));
        }
        let sender = self.connect(holder).await?;
        let places = Arc::new(Semaphore::new(STREAMS_MAX));
        let place = Arc::clone(&places).try_acquire_owned();
        open.push(Open {
            sender: sender.clone(),
            places,
        });
        Ok((sender, place.expect("it is new")))
    }

    async fn connect(&self, holder: &Holder) -> Result<SendRequest<Empty<Bytes>>, Failure> {
        let connection = self.dial.dial(holder).await.map_err(unreachable)?;
        let shaken = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(connection));
        let (sender, driver) = shaken.await.map_err(unreachable)?;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                // Requests are told what ended it.
                _ = driver => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(sender)
    }

    async fn request(&self, holder: &Holder, ask: &Ask) -> Result<Request<Empty<Bytes>>, Failure> {
        let uri = format!("http://{}{}", holder.at, ask.object.path(&ask.room));
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri
            .parse()
            .map_err(|_| Failure::Unreachable("its address is none".into()))?;
        let headers = request.headers_mut();
        if let Some((known, wait)) = &ask.after {
            wire::ask_after(headers, known.as_ref(), *wait);
        }
        if let Some(credential) = self.dial.bearer().await {
            headers.insert(header::AUTHORIZATION, credential);
        }
        Ok(request)
    }
}

impl Call for Client {
    fn call<'a>(
        &'a self,
        holder: &'a Holder,
        ask: &'a Ask,
    ) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(self.exchange(holder, ask))
    }
}

/// Nothing is asked there, and no connection is open.
fn is_idle(line: &Line) -> bool {
    let open = line.try_lock();
    open.is_ok_and(|open| open.iter().all(|it| it.sender.is_closed()))
}

async fn reply(response: Response<Incoming>, bytes_max: usize) -> Result<Reply, Failure> {
    let (head, body) = response.into_parts();
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return claim(&head.headers).map(Reply::Unchanged),
        StatusCode::NO_CONTENT => return claim(&head.headers).map(Reply::NotYet),
        StatusCode::NOT_FOUND => return Ok(Reply::Absent(wire::told_absent(&head.headers))),
        other => return Err(Failure::Status(other.as_u16())),
    }
    Ok(Reply::Found(Found {
        pair: claim(&head.headers)?,
        etag: head.headers.get(header::ETAG).cloned(),
        body: whole(&head.headers, body, bytes_max).await?,
    }))
}

fn claim(headers: &HeaderMap) -> Result<Pair, Failure> {
    wire::told_claim(headers).ok_or(Failure::Garbled("no claim"))
}

/// All of a body, which grows as it comes and no further than it may.
async fn whole(headers: &HeaderMap, body: Incoming, bytes_max: usize) -> Result<Bytes, Failure> {
    const TOO_LARGE: Failure = Failure::Garbled("more bytes than any such thing has");
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > bytes_max) {
        return Err(TOO_LARGE);
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(TOO_LARGE),
        Err(error) => Err(Failure::Unreachable(error.to_string())),
    }
}

fn unreachable(error: impl std::error::Error) -> Failure {
    Failure::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests;
