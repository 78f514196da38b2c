//! One pull, from connecting to its end.

use std::sync::Arc;
use std::time::Duration;

use isocast_claims::{Incarnation, NodeId, Owner, Pair};
use isocast_media::rtmp::session::{Role, relay, status};
use isocast_media::rtmp::{self, Call, Caller, CallerEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::holders::Holder;
use super::import::Importer;
use super::{HOPS_MAX, MARK_EVERY, Place, Progress};
use crate::data::random;
use crate::hub::{NotCarried, Upstream};
use crate::metrics::ResultLabel;
use crate::outbound::{self, Connection};
use crate::rooms::RoomId;

/// From connecting until the stream begins.
const START: Duration = Duration::from_secs(2);
/// Marks come at least every second: without a word for so long, the other end is gone or stuck.
const SILENCE: Duration = MARK_EVERY.saturating_mul(3);
/// For the last words.
const FAREWELL: Duration = Duration::from_millis(200);
const READ_BYTES: usize = 64 << 10;

/// Why nothing is to be pulled any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The stream is over where it comes from.
    Ended,
    /// Nobody watches it here.
    Idle,
    /// This node has the room by itself, or it is gone.
    Replaced,
    /// There is no place for another stream; there are so many.
    Full(usize),
}

/// Why a pull broke off, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Outbound(#[from] outbound::Error),
    #[error("the stream did not begin within {} s", START.as_secs())]
    Late,
    #[error("refused: {code}: {description}")]
    Refused { code: String, description: String },
    #[error("what answers speaks no RTMP: {0}")]
    Protocol(#[from] rtmp::Error),
    #[error("it does not say under which claim it sends")]
    Unbound,
    #[error("it sends under a claim that is no longer the highest")]
    Stale,
    #[error("the stream would come by too many nodes, or by this one")]
    Far,
    #[error("the connection was closed")]
    HungUp,
    #[error("nothing came for {} s", SILENCE.as_secs())]
    Silent,
    #[error("the room has a new owner")]
    Superseded,
}

impl Done {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Idle => "idle",
            Self::Replaced => "replaced",
            Self::Full(_) => "full",
        }
    }
}

impl Failure {
    fn reason(&self) -> &'static str {
        match self {
            Self::Outbound(_) => "unreachable",
            Self::Late => "late",
            Self::Refused { .. } => "refused",
            Self::Protocol(_) | Self::Unbound => "protocol",
            Self::Stale => "stale",
            Self::Far => "far",
            Self::HungUp => "hung_up",
            Self::Silent => "silent",
            Self::Superseded => "superseded",
        }
    }
}

/// Pulls a room from this holder until that is over, or breaks off.
pub(super) async fn run(
    place: &Place,
    room: &RoomId,
    holder: &Holder,
    progress: &watch::Sender<Progress>,
) -> Result<Done, Failure> {
    let pulled = begin_and_take(place, room, holder, progress).await;
    let result = match &pulled {
        Ok(done) => done.reason(),
        Err(failure) => failure.reason(),
    };
    place
        .counts
        .pulls
        .get_or_create(&ResultLabel { result })
        .inc();
    pulled
}

async fn begin_and_take(
    place: &Place,
    room: &RoomId,
    holder: &Holder,
    progress: &watch::Sender<Progress>,
) -> Result<Done, Failure> {
    let token = place.credential.token().await;
    let asker = relay::Asker {
        node: place.node.to_string(),
        hops: holder.hops + 1,
        token: token.map(|token| relay::Token(token.reveal().clone())),
        expects: Some(told(&holder.pair)),
        since: place
            .hub
            .stream(room)
            .and_then(|stream| stream.carried_to()),
    };
    let started = timeout(START, Pull::start(place, room, holder, asker)).await;
    let mut pull = started.map_err(|_| Failure::Late)??;
    let upstream = upstream(pull.caller.bond(), &place.node)?;
    if upstream.pair < holder.pair || place.ownership.admit(room, &upstream.pair).is_err() {
        return Err(Failure::Stale);
    }
    let pair = upstream.pair.clone();
    let carried = place.hub.carry(room, upstream, Instant::now().into_std());
    let (carrier, stream) = match carried {
        Ok(carried) => carried,
        Err(NotCarried::Published) => return Ok(Done::Replaced),
        Err(NotCarried::Stale) => return Err(Failure::Stale),
        Err(NotCarried::Full(full)) => return Ok(Done::Full(full.0)),
    };
    tracing::info!(%room, from = %holder.node, %pair, "pulled");
    progress.send_replace(Progress::Begun(Arc::clone(&stream)));
    let revoked = carrier.revocation();
    let mut importer = Importer::new(carrier, place.counts.hop_delay.clone());
    let done = tokio::select! {
        taken = pull.take_all(place, &mut importer) => taken,
        () = revoked.cancelled() => Ok(Done::Replaced),
        () = place.idles(&stream) => Ok(Done::Idle),
        () = place.superseded(room, &pair) => Err(Failure::Superseded),
    };
    match done {
        Ok(Done::Ended | Done::Idle) => importer.end(),
        // Dropping it holds its viewers.
        _ => drop(importer),
    }
    pull.close().await;
    done
}

/// What the other end says of the stream, where it may come by this node then.
fn upstream(bond: Option<&relay::Bond>, node: &NodeId) -> Result<Upstream, Failure> {
    let bond = bond.ok_or(Failure::Unbound)?;
    let named = |node: &String| NodeId::parse(node).map_err(|_| Failure::Unbound);
    let path: Vec<NodeId> = bond.path.iter().map(named).collect::<Result<_, _>>()?;
    if path.len() > usize::from(HOPS_MAX) || path.contains(node) {
        return Err(Failure::Far);
    }
    let owner = Owner {
        node: named(&bond.pair.node)?,
        incarnation: Incarnation(bond.pair.incarnation),
    };
    let epoch = bond.pair.epoch;
    Ok(Upstream {
        pair: Pair { epoch, owner },
        path,
    })
}

/// A claim as it is told to other nodes.
pub(crate) fn told(pair: &Pair) -> relay::Pair {
    relay::Pair {
        epoch: pair.epoch,
        node: pair.owner.node.to_string(),
        incarnation: pair.owner.incarnation.0,
    }
}

struct Pull {
    connection: Box<dyn Connection>,
    caller: Caller,
    buffer: Box<[u8]>,
}

impl Pull {
    /// Returns once the stream begins.
    async fn start(
        place: &Place,
        room: &RoomId,
        holder: &Holder,
        asker: relay::Asker,
    ) -> Result<Self, Failure> {
        let Place {
            credential,
            dialler,
            ..
        } = place;
        let connected = credential
            .connect(dialler, &holder.address, &[], START)
            .await;
        dialler.count("relay", &connected);
        let call = Call {
            tc_url: format!("rtmp://{}/live", holder.address),
            app: "live".into(),
            name: room.stream_name(),
            role: Role::Play,
        };
        let mut pull = Self {
            connection: connected?,
            caller: Caller::relay(call, asker, u64::from_ne_bytes(random::bytes())),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        };
        loop {
            match pull.next_event().await? {
                CallerEvent::Started => return Ok(pull),
                CallerEvent::Ended => return Err(Failure::HungUp),
                CallerEvent::Refused { code, description } => {
                    return Err(Failure::Refused { code, description });
                }
                // Nothing comes before it says what it belongs to.
                CallerEvent::Media(_) | CallerEvent::Reconnect { .. } => {}
            }
        }
    }

    async fn take_all(&mut self, place: &Place, importer: &mut Importer) -> Result<Done, Failure> {
        loop {
            let silent = sleep_until(Instant::now() + SILENCE);
            let event = tokio::select! {
                event = self.next_event() => event?,
                () = silent => return Err(Failure::Silent),
            };
            match event {
                CallerEvent::Media(media) => {
                    place.counts.bytes_in.inc_by(media.body.len() as u64);
                    if importer.take(media).is_err() {
                        return Ok(Done::Replaced);
                    }
                }
                CallerEvent::Ended => return Ok(Done::Ended),
                CallerEvent::Refused { code, .. } if code == status::PLAY_STREAM_NOT_FOUND => {
                    return Err(Failure::HungUp);
                }
                CallerEvent::Refused { code, description } => {
                    return Err(Failure::Refused { code, description });
                }
                // It goes on until its publisher has gone elsewhere, and then that is followed.
                CallerEvent::Reconnect { .. } | CallerEvent::Started => {}
            }
        }
    }

    /// Safe to drop while waiting: what was read is kept.
    async fn next_event(&mut self) -> Result<CallerEvent, Failure> {
        loop {
            let event = self.caller.next_event(Instant::now().into_std())?;
            let output = self.caller.take_output();
            if !output.is_empty() {
                self.write(&output).await.map_err(|_| Failure::HungUp)?;
            }
            if let Some(event) = event {
                return Ok(event);
            }
            match self.connection.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(Failure::HungUp),
                Ok(count) => self.caller.receive(&self.buffer[..count]),
            }
        }
    }

    async fn write(&mut self, output: &[u8]) -> std::io::Result<()> {
        self.connection.write_all(output).await?;
        // TLS may have taken more than the connection has.
        self.connection.flush().await
    }

    async fn close(mut self) {
        self.caller.close();
        let output = self.caller.take_output();
        let farewell = async {
            self.write(&output).await?;
            self.connection.shutdown().await
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}
