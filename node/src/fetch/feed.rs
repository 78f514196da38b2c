use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use isocast_claims::{NodeId, Pair, Rejected};
use isocast_media::hls::{ClaimName, Listed, NotListed, SegmentName};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::peer::Found;
use crate::error::Refusal;
use crate::packager::Audience;
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// A playlist is handed out for so long after its owner has said that it is the newest; and while the owner
/// holds a call back until there is a newer one, which says the same.
const CURRENT: Duration = Duration::from_secs(1);
/// Whoever could be given an older playlist waits so long for the newest.
const NEWEST_WITHIN: Duration = Duration::from_millis(500);
/// Whoever could be given none waits so long for the first: a first segment lasts 6 s at most.
const FIRST_WITHIN: Duration = Duration::from_secs(8);
/// Without a request in this time nobody watches here: players ask every 6 s at least.
const WATCHED: Duration = Duration::from_secs(15);
/// The same while there is nothing to watch.
const ASKED: Duration = Duration::from_secs(2);
/// What was known of a room is kept for so long after the last request.
const KEPT: Duration = Duration::from_secs(60);
/// Claims whose segments may still be asked for.
const CLAIMS_MAX: usize = 8;

/// The playlists of one room that another node cuts, as this node hands them out. A [`watch`](super::watch) keeps
/// it up to date while somebody asks for it.
#[derive(Debug)]
pub(crate) struct Feed {
    room: RoomId,
    standing: watch::Sender<Standing>,
    usage: Mutex<Usage>,
    multivariant: Mutex<Option<Found>>,
    audience: Audience,
    /// How long the last playlist goes on being handed out when its owner is gone.
    hold: Duration,
}

#[derive(Debug)]
struct Usage {
    asked: Instant,
    is_watched: bool,
}

#[derive(Clone, Debug, Default)]
struct Standing {
    newest: Option<Arc<Playlist>>,
    /// When its owner said so last.
    confirmed: Option<Instant>,
    /// The owner holds back a call until there is a newer one.
    awaits: bool,
    /// Why there is none, as it was told last.
    absent: Option<Refusal>,
    /// Those of the newest playlists, oldest first, and the nodes that cut under them where that is known.
    claims: VecDeque<(ClaimName, Option<NodeId>)>,
}

/// A media playlist that was admitted.
#[derive(Debug, PartialEq)]
pub(crate) struct Playlist {
    pub pair: Pair,
    pub etag: Option<HeaderValue>,
    pub text: Bytes,
    listed: Listed,
}

/// Why a playlist is not handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    NotListed(#[from] NotListed),
    #[error("a newer playlist of the same claim was handed out here")]
    Older,
}

impl Unfit {
    /// A constant word for metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Rejected(Rejected::Stale { .. }) => "stale_claim",
            Self::Rejected(Rejected::EpochAhead) => "epoch_ahead",
            Self::NotListed(_) => "no_playlist",
            Self::Older => "older",
        }
    }
}

/// A playlist, and whether it was at hand.
#[derive(Clone, Debug)]
pub(super) enum At<T> {
    Hand(T),
    /// It was at hand, though it may not be the newest.
    HandOld(T),
    Origin(T),
}

impl Feed {
    pub(super) fn new(room: RoomId, hold: Duration) -> Self {
        Self {
            room,
            standing: watch::Sender::default(),
            usage: Mutex::new(Usage {
                asked: Instant::now(),
                is_watched: false,
            }),
            multivariant: Mutex::default(),
            audience: Audience::default(),
            hold,
        }
    }

    pub(super) fn room(&self) -> &RoomId {
        &self.room
    }

    /// Somebody at this client asks for a playlist. Where no more viewers are taken, false for one who is new.
    pub(crate) fn note_viewer(&self, client: IpAddr, user_agent: &[u8], takes_more: bool) -> bool {
        let now = Instant::now().into_std();
        self.audience.note(client, user_agent, takes_more, now)
    }

    /// Those who asked for a playlist here lately.
    pub(crate) fn viewers(&self) -> usize {
        self.audience.count(Instant::now().into_std())
    }

    /// Notes a request; true where whoever asks has to start the watch.
    pub(super) fn touch(&self) -> bool {
        let mut usage = self.usage.lock();
        usage.asked = Instant::now();
        if usage.is_watched {
            return false;
        }
        usage.is_watched = true;
        // What was found the last time may have changed since.
        self.standing.send_modify(|it| it.absent = None);
        true
    }

    /// Whether it is worth watching still. Once false, it is watched no more.
    pub(super) fn goes_on(&self) -> bool {
        let has_nothing = {
            let now = self.standing.borrow();
            now.newest.is_none() && now.absent.is_some()
        };
        let patience = match has_nothing {
            true => ASKED,
            false => WATCHED,
        };
        let mut usage = self.usage.lock();
        usage.is_watched = usage.asked.elapsed() < patience;
        usage.is_watched
    }

    /// The watch has ended.
    pub(super) fn unwatched(&self) {
        self.usage.lock().is_watched = false;
        self.standing.send_modify(|it| it.awaits = false);
    }

    pub(super) fn is_forgotten(&self) -> bool {
        let usage = self.usage.lock();
        !usage.is_watched && usage.asked.elapsed() >= KEPT
    }

    /// The playlist to hand out: the newest, or between two owners the last one, for as long as a publisher is
    /// waited for. Players bear one that has not changed, and no error.
    pub(super) async fn playlist(&self) -> Result<At<Arc<Playlist>>, Refusal> {
        let mut standing = self.standing.subscribe();
        let last = {
            let now = standing.borrow();
            match now.current() {
                Some(playlist) => return Ok(At::Hand(playlist)),
                None => now.newest_within(self.hold),
            }
        };
        let patience = match last {
            Some(_) => NEWEST_WITHIN,
            None => FIRST_WITHIN,
        };
        let is_told = |now: &Standing| now.current().is_some() || now.absent.is_some();
        let told = timeout(patience, standing.wait_for(is_told)).await;
        let told = match told {
            Ok(Ok(now)) => now.current().ok_or(now.absent.clone()),
            Ok(Err(_)) | Err(_) => Err(None),
        };
        match (told, last) {
            (Ok(playlist), _) => Ok(At::Origin(playlist)),
            (Err(_), Some(last)) => Ok(At::HandOld(last)),
            (Err(absent), None) => Err(absent.unwrap_or(Refusal::NotReady)),
        }
    }

    /// The playlist that was last handed out, while it may be.
    pub(super) fn last(&self) -> Option<Arc<Playlist>> {
        self.standing.borrow().newest_within(self.hold)
    }

    /// Whether a segment of this name can be there: listed, listed lately, or about to be. Whoever invents names
    /// does not come through to the owner.
    pub(super) async fn expects(&self, name: SegmentName) -> Result<(), Refusal> {
        self.playlist().await?;
        let mut standing = self.standing.subscribe();
        // A player that comes from another node may know more than this one.
        let expects = |now: &Standing| now.expects(name);
        let expected = timeout(NEWEST_WITHIN, standing.wait_for(expects)).await;
        match expected {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refusal::NoSegment),
        }
    }

    pub(super) fn keep_multivariant(&self, found: Found) {
        *self.multivariant.lock() = Some(found);
    }

    pub(super) fn multivariant(&self) -> Option<Found> {
        self.multivariant.lock().clone()
    }

    /// A playlist from whoever owns the room, or has it from there. None is older than one before.
    pub(super) fn offer(
        &self,
        found: Found,
        admit: impl FnOnce(&Pair) -> Result<(), Rejected>,
    ) -> Result<(), Unfit> {
        let listed = Listed::read(&found.body)?;
        let mut result = Ok(());
        self.standing.send_modify(|now| {
            result = now.admit(
                Playlist {
                    pair: found.pair,
                    etag: found.etag,
                    text: found.body,
                    listed,
                },
                admit,
            );
        });
        result
    }

    /// The last playlist of this node itself, which has lost the room.
    pub(crate) fn leave(&self, pair: Pair, text: Bytes) {
        let last = Found {
            pair,
            etag: None,
            body: text,
        };
        // It was handed out already; whose it was matters to what comes after it.
        if let Err(why) = self.offer(last, |_| Ok(())) {
            tracing::debug!(room = %self.room, %why, "the last playlist is not handed on");
        }
    }

    /// A broadcast has begun that has no playlist yet: one that is over is no longer shown.
    pub(super) fn begins(&self) {
        self.standing.send_modify(|now| {
            now.absent = None;
            now.newest.take_if(|newest| newest.listed.ended);
        });
    }

    /// The node that cut under this claim.
    pub(super) fn owner_of(&self, claim: ClaimName) -> Option<NodeId> {
        let now = self.standing.borrow();
        let known = now.claims.iter().find(|(known, _)| *known == claim);
        known.and_then(|(_, node)| node.clone())
    }

    /// The owner says that the newest playlist is the newest still.
    pub(super) fn confirm(&self) {
        self.standing.send_modify(|now| {
            now.confirmed = Some(Instant::now());
            now.absent = None;
        });
    }

    /// The owner, having confirmed the newest playlist, is asked for the next one.
    pub(super) fn awaits(&self, awaits: bool) {
        self.standing.send_if_modified(|now| {
            let changes = now.awaits != awaits;
            now.awaits = awaits;
            changes
        });
    }

    /// There is no playlist, for this reason.
    pub(super) fn absent(&self, refusal: Refusal) {
        self.standing.send_modify(|now| now.absent = Some(refusal));
    }

    /// What the newest playlist is known by.
    pub(super) fn etag(&self) -> Option<HeaderValue> {
        self.standing.borrow().newest.as_ref()?.etag.clone()
    }

    /// The claim of the newest playlist.
    pub(crate) fn pair(&self) -> Option<Pair> {
        Some(self.standing.borrow().newest.as_ref()?.pair.clone())
    }
}

impl Standing {
    fn current(&self) -> Option<Arc<Playlist>> {
        let is_fresh = self.awaits || self.is_confirmed_within(CURRENT);
        self.newest.clone().filter(|_| is_fresh)
    }

    fn newest_within(&self, hold: Duration) -> Option<Arc<Playlist>> {
        let is_held = self.is_confirmed_within(hold);
        self.newest.clone().filter(|_| is_held)
    }

    fn is_confirmed_within(&self, time: Duration) -> bool {
        self.confirmed.is_some_and(|at| at.elapsed() < time)
    }

    fn admit(
        &mut self,
        playlist: Playlist,
        admit: impl FnOnce(&Pair) -> Result<(), Rejected>,
    ) -> Result<(), Unfit> {
        admit(&playlist.pair)?;
        if let Some(newest) = &self.newest {
            if playlist.pair < newest.pair {
                let floor = newest.pair.clone();
                return Err(Rejected::Stale { floor }.into());
            }
            if playlist.pair == newest.pair && playlist.is_before(newest) {
                return Err(Unfit::Older);
            }
        }
        let own = ClaimName::parse(&playlist.pair.name());
        for name in &playlist.listed.names {
            if !self.knows(name.claim) {
                let is_own = own == Some(name.claim);
                let cut_by = is_own.then(|| playlist.pair.owner.node.clone());
                self.claims.push_back((name.claim, cut_by));
            }
        }
        while self.claims.len() > CLAIMS_MAX {
            self.claims.pop_front();
        }
        self.newest = Some(Arc::new(playlist));
        self.confirmed = Some(Instant::now());
        self.absent = None;
        Ok(())
    }

    fn knows(&self, claim: ClaimName) -> bool {
        self.claims.iter().any(|(known, _)| *known == claim)
    }

    fn expects(&self, name: SegmentName) -> bool {
        let Some(newest) = &self.newest else {
            return false;
        };
        let Listed {
            first_msn, names, ..
        } = &newest.listed;
        // An owner keeps as many segments as it lists beside those, and the next one may be a moment old.
        let from = first_msn.saturating_sub(names.len() as u64 + 1);
        let to = newest.listed.last_msn().saturating_add(1);
        names.contains(&name) || (self.knows(name.claim) && (from..=to).contains(&name.msn))
    }
}

impl Playlist {
    /// Lists less than one of the same claim did.
    fn is_before(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.listed.last_msn(), it.listed.ended, it.listed.first_msn);
        place(self) < place(other)
    }
}

#[cfg(test)]
mod tests;
