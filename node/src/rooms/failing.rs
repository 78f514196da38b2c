//! A store whose disk is gone: every call fails. For tests of what the node does then.

use futures_util::future;
use isocast_media::UnixMs;

use super::{Answer, Change, Error, NewRoom, PublishKey, Put, Room, RoomId, Rooms, Target};

#[derive(Debug)]
pub(crate) struct Failing;

fn fail<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(future::ready(Err(Error::Unavailable(
        "this store always fails".into(),
    ))))
}

impl Rooms for Failing {
    fn create(&self, _: NewRoom) -> Answer<'_, (Room, PublishKey)> {
        fail()
    }

    fn put<'a>(&'a self, _: NewRoom, _: &'a PublishKey) -> Answer<'a, Put> {
        fail()
    }

    fn change<'a>(&'a self, _: &'a RoomId, _: Change) -> Answer<'a, Put> {
        fail()
    }

    fn get<'a>(&'a self, _: &'a RoomId) -> Answer<'a, Option<Room>> {
        fail()
    }

    fn list<'a>(&'a self, _: Option<&'a RoomId>, _: usize) -> Answer<'a, Vec<Room>> {
        fail()
    }

    fn delete<'a>(&'a self, _: &'a RoomId) -> Answer<'a, ()> {
        fail()
    }

    fn rotate_key<'a>(&'a self, _: &'a RoomId, _: Option<UnixMs>) -> Answer<'a, PublishKey> {
        fail()
    }

    fn authenticate<'a>(&'a self, _: &'a PublishKey, _: UnixMs) -> Answer<'a, Option<Room>> {
        fail()
    }

    fn restreams<'a>(&'a self, _: &'a RoomId) -> Answer<'a, Vec<Target>> {
        fail()
    }

    fn put_restreams<'a>(&'a self, _: &'a RoomId, _: &'a [Target]) -> Answer<'a, ()> {
        fail()
    }

    fn store_id(&self) -> Answer<'_, String> {
        fail()
    }
}
