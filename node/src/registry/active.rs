//! The rooms that are live somewhere.

use super::{Registry, Unavailable};
use crate::rooms::RoomId;

/// Rooms that are read of the list.
pub(super) const ROOMS_MAX: usize = 10_000;
/// Where the list lies, below the cluster's prefix.
pub(super) const KEY: &str = "active_streams";

/// What is listed.
#[derive(Debug, PartialEq)]
pub(crate) struct Listed {
    pub rooms: Vec<RoomId>,
    /// What is listed and names no room.
    pub corrupt: u64,
}

/// The rooms that are listed and have a record; the others are taken off the list.
pub(crate) async fn live_rooms(registry: &dyn Registry) -> Result<Listed, Unavailable> {
    let Listed { rooms, corrupt } = registry.listed().await?;
    let (live, gone) = with_and_without_record(registry, rooms).await?;
    if !gone.is_empty() {
        registry.deactivate(&gone).await?;
        // An owner writes its record, then the list. One that came in between is put back.
        let (back, _) = with_and_without_record(registry, gone).await?;
        if !back.is_empty() {
            registry.activate(&back).await?;
        }
    }
    let rooms = live;
    Ok(Listed { rooms, corrupt })
}

async fn with_and_without_record(
    registry: &dyn Registry,
    rooms: Vec<RoomId>,
) -> Result<(Vec<RoomId>, Vec<RoomId>), Unavailable> {
    let has = registry.have_records(&rooms).await?;
    let (with, without): (Vec<_>, Vec<_>) = rooms.into_iter().zip(has).partition(|(_, has)| *has);
    let rooms = |of: Vec<(RoomId, bool)>| of.into_iter().map(|(room, _)| room).collect();
    Ok((rooms(with), rooms(without)))
}
