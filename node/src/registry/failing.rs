//! A registry that is gone: every call fails. For tests of what the node does then.

use futures_util::FutureExt;
use futures_util::future::ready;
use isocast_claims::NodeId;
use isocast_claims::store::{Reply, Request};

use super::{Answer, Directory, Listed, Registry, Scan, Unavailable};
use crate::rooms::RoomId;

#[derive(Debug)]
pub(crate) struct Failing;

fn gone() -> Unavailable {
    Unavailable("this registry always fails".into())
}

fn fail<'a, T: Send + 'a>() -> Answer<'a, T> {
    ready(Err(gone())).boxed()
}

impl Registry for Failing {
    fn call<'a>(&'a self, _: &'a RoomId, _: Request) -> Answer<'a, Reply> {
        fail()
    }

    fn stamp<'a>(&'a self, _: &'a Directory, _: &'a NodeId, _: String) -> Answer<'a, String> {
        fail()
    }

    fn scan<'a>(&'a self, _: &'a Directory) -> Answer<'a, Scan> {
        fail()
    }

    fn strike<'a>(&'a self, _: &'a Directory, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        fail()
    }

    fn activate<'a>(&'a self, _: &'a [RoomId]) -> Answer<'a, ()> {
        fail()
    }

    fn deactivate<'a>(&'a self, _: &'a [RoomId]) -> Answer<'a, ()> {
        fail()
    }

    fn listed(&self) -> Answer<'_, Listed> {
        fail()
    }

    fn have_records<'a>(&'a self, _: &'a [RoomId]) -> Answer<'a, Vec<bool>> {
        fail()
    }

    fn is_reachable(&self) -> bool {
        false
    }
}
