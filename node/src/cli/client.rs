//! The rooms API of the node that runs on this data folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::api::restreams::{PutRestreams, RestreamList};
use crate::api::wire::{
    ChangeRoom, CreateRoom, CreatedRoom, ErrorBody, Kick, PlayUrls, ROOMS_PATH, Room, RoomList,
    RotateKey, RotatedKey, Stats,
};
use crate::data::Secret;
use crate::rooms::{LIST_MAX, PublishKey, RoomId};

/// For a whole call, from connecting to the last byte.
const DEADLINE: Duration = Duration::from_secs(10);
/// 1000 rooms of at most 200 bytes each are 200 KB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    token: Secret<String>,
}

impl Client {
    /// `listens` may be a wildcard address; it is called over loopback.
    pub(super) fn new(listens: SocketAddr, token: Secret<String>) -> Self {
        Self {
            address: reachable(listens),
            token,
        }
    }

    pub(super) async fn create(&self, request: &CreateRoom) -> anyhow::Result<CreatedRoom> {
        let body = serde_json::to_vec(request).context("no JSON form")?;
        read(&self.call(Method::POST, ROOMS_PATH, body).await?)
    }

    pub(super) async fn list(&self, after: Option<&RoomId>) -> anyhow::Result<RoomList> {
        // A room id needs no escaping in a URL.
        let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
        let path = format!("{ROOMS_PATH}?limit={LIST_MAX}{after}");
        read(&self.call(Method::GET, &path, Vec::new()).await?)
    }

    pub(super) async fn change(&self, id: &RoomId, change: &ChangeRoom) -> anyhow::Result<Room> {
        let path = format!("{ROOMS_PATH}/{id}");
        let body = serde_json::to_vec(change).context("no JSON form")?;
        read(&self.call(Method::PATCH, &path, body).await?)
    }

    pub(super) async fn delete(&self, id: &RoomId) -> anyhow::Result<()> {
        let path = format!("{ROOMS_PATH}/{id}");
        self.call(Method::DELETE, &path, Vec::new()).await.map(drop)
    }

    pub(super) async fn rotate_key(
        &self,
        id: &RoomId,
        overlap_s: u64,
    ) -> anyhow::Result<PublishKey> {
        let path = format!("{ROOMS_PATH}/{id}/rotate-key");
        let body = serde_json::to_vec(&RotateKey { overlap_s }).context("no JSON form")?;
        let rotated: RotatedKey = read(&self.call(Method::POST, &path, body).await?)?;
        Ok(rotated.stream_key)
    }

    pub(super) async fn revoke_keys(&self, id: &RoomId) -> anyhow::Result<PublishKey> {
        let path = format!("{ROOMS_PATH}/{id}/revoke-keys");
        let rotated: RotatedKey = read(&self.call(Method::POST, &path, Vec::new()).await?)?;
        Ok(rotated.stream_key)
    }

    pub(super) async fn restreams(&self, id: &RoomId) -> anyhow::Result<RestreamList> {
        let path = format!("{ROOMS_PATH}/{id}/restreams");
        read(&self.call(Method::GET, &path, Vec::new()).await?)
    }

    pub(super) async fn put_restreams(
        &self,
        id: &RoomId,
        request: &PutRestreams,
    ) -> anyhow::Result<()> {
        let path = format!("{ROOMS_PATH}/{id}/restreams");
        let body = serde_json::to_vec(request).context("no JSON form")?;
        self.call(Method::PUT, &path, body).await.map(drop)
    }

    pub(super) async fn play_urls(
        &self,
        id: &RoomId,
        expires_in_s: Option<u64>,
    ) -> anyhow::Result<PlayUrls> {
        let query = expires_in_s.map(|seconds| format!("?expires_in_s={seconds}"));
        let query = query.unwrap_or_default();
        let path = format!("{ROOMS_PATH}/{id}/live/play-url{query}");
        read(&self.call(Method::GET, &path, Vec::new()).await?)
    }

    pub(super) async fn stats(&self, id: &RoomId) -> anyhow::Result<Stats> {
        let path = format!("{ROOMS_PATH}/{id}/stats");
        read(&self.call(Method::GET, &path, Vec::new()).await?)
    }

    pub(super) async fn kick(&self, id: &RoomId, kick: Kick) -> anyhow::Result<()> {
        let path = format!("{ROOMS_PATH}/{id}/kick");
        let body = serde_json::to_vec(&kick).context("no JSON form")?;
        self.call(Method::POST, &path, body).await.map(drop)
    }

    /// The body of a good answer; any other answer is an error in its own words.
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token.reveal()))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .context("no request")?;
        let answer = tokio::time::timeout(DEADLINE, exchange(self.address, request)).await;
        let answer =
            answer.unwrap_or_else(|_| Err(anyhow!("no answer within {} s", DEADLINE.as_secs())));
        let (status, body) = answer.with_context(|| format!("the node at {}", self.address))?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => bail!("{}", body.error.message),
            Err(_) => bail!("the node at {} answered {status}", self.address),
        }
    }
}

/// One request on a connection of its own.
async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    // The connection moves bytes while the answer is awaited; its own error shows up there too.
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

fn read<T: DeserializeOwned + Serialize>(body: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(body).context("the node's answer is not what this version reads")
}

fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_called_over_loopback() {
        for (listens, called) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[fd00::1]:80", "[fd00::1]:80"),
        ] {
            let listens = listens.parse().expect("an address");
            assert_eq!(reachable(listens).to_string(), called);
        }
    }
}
