use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use isocast_media::UnixMs;

use super::{Claim, Registry, Unavailable};
use crate::rooms::RoomId;
use crate::sync::Mutex;

/// Claims in this process only.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Claims>);

#[derive(Debug, Default)]
struct Claims {
    by_room: HashMap<RoomId, Claim>,
    /// The highest epoch given so far: what is released need not be remembered to keep epochs rising.
    last_epoch: u64,
}

impl Memory {
    fn with<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Claims) -> T,
    ) -> BoxFuture<'_, Result<T, Unavailable>> {
        let mut claims = self.0.lock();
        ready(Ok(change(&mut claims))).boxed()
    }
}

impl Registry for Memory {
    fn claim<'a>(
        &'a self,
        room: &'a RoomId,
        node: &'a str,
        now: UnixMs,
    ) -> BoxFuture<'a, Result<Claim, Unavailable>> {
        self.with(|claims| {
            let wall = u64::try_from(now.0).unwrap_or(0);
            claims.last_epoch = wall.max(claims.last_epoch + 1);
            let claim = Claim {
                room: room.clone(),
                node: node.to_owned(),
                epoch: claims.last_epoch,
            };
            claims.by_room.insert(room.clone(), claim.clone());
            claim
        })
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<(), Unavailable>> {
        self.with(|claims| {
            if claims.by_room.get(&claim.room) == Some(claim) {
                claims.by_room.remove(&claim.room);
            }
        })
    }

    fn get<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Claim>, Unavailable>> {
        self.with(|claims| claims.by_room.get(room).cloned())
    }
}
