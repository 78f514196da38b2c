//! Answers, as the asked node means them and the asking one reads them.

use isocast_claims::{Answer, Incarnation, Owner, Pair, Standing};

use crate::bad::{self, Bad};
use crate::v1;
use v1::announce_response as announced;
use v1::describe_response::Status;
use v1::question_response as answered;

/// Who answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction(pub Owner);

/// What became of an announced claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the highest that the peer knows of.
    Accepted,
    /// The peer knows of this one, which is higher.
    Stale(Pair),
}

/// What a node knows of a room by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What becomes of the room there.
    pub state: State,
    /// The claim under which the node has the room, or had it last.
    pub pair: Option<Pair>,
    /// The room's time at the newest frame, in milliseconds.
    pub room_time_ms: Option<i64>,
}

/// What becomes of a room on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The node has nothing of it.
    None,
    /// It is published here.
    Live,
    /// Its publisher is gone and may come back.
    Interrupted,
    /// The broadcast is over.
    Ended,
}

impl TryFrom<v1::IntroduceResponse> for Introduction {
    type Error = Bad;

    fn try_from(response: v1::IntroduceResponse) -> Result<Self, Bad> {
        Ok(Self(Owner {
            node: bad::node("node", &response.node)?,
            incarnation: Incarnation(response.incarnation),
        }))
    }
}

impl From<&Introduction> for v1::IntroduceResponse {
    fn from(Introduction(me): &Introduction) -> Self {
        Self {
            node: me.node.to_string(),
            incarnation: me.incarnation.0,
        }
    }
}

/// [`Answer`] belongs to another crate, and so does the trait that would convert to it.
impl v1::QuestionResponse {
    /// What the peer means.
    pub fn read(self) -> Result<Answer, Bad> {
        let standing = match self.standing.ok_or(Bad::Missing("standing"))? {
            answered::Standing::Free(_) => Standing::Free,
            answered::Standing::Live(live) => Standing::Live {
                pair: bad::pair("live.pair", live.pair)?,
                frames: live.frames,
                age_ms: live.age_ms,
            },
            answered::Standing::Pending(_) => Standing::Pending,
        };
        Ok(Answer {
            floor: bad::optional_pair(self.floor)?,
            standing,
        })
    }
}

impl From<&Answer> for v1::QuestionResponse {
    fn from(answer: &Answer) -> Self {
        let standing = match &answer.standing {
            Standing::Free => answered::Standing::Free(answered::Free {}),
            Standing::Live {
                pair,
                frames,
                age_ms,
            } => answered::Standing::Live(answered::Live {
                pair: Some(pair.into()),
                frames: *frames,
                age_ms: *age_ms,
            }),
            Standing::Pending => answered::Standing::Pending(answered::Pending {}),
        };
        Self {
            floor: answer.floor.as_ref().map(Into::into),
            standing: Some(standing),
        }
    }
}

impl TryFrom<v1::AnnounceResponse> for Verdict {
    type Error = Bad;

    fn try_from(response: v1::AnnounceResponse) -> Result<Self, Bad> {
        match response.verdict.ok_or(Bad::Missing("verdict"))? {
            announced::Verdict::Accepted(_) => Ok(Self::Accepted),
            announced::Verdict::Stale(stale) => {
                bad::pair("stale.floor", stale.floor).map(Self::Stale)
            }
        }
    }
}

impl From<&Verdict> for v1::AnnounceResponse {
    fn from(verdict: &Verdict) -> Self {
        let verdict = match verdict {
            Verdict::Accepted => announced::Verdict::Accepted(announced::Accepted {}),
            Verdict::Stale(floor) => announced::Verdict::Stale(announced::Stale {
                floor: Some(floor.into()),
            }),
        };
        Self {
            verdict: Some(verdict),
        }
    }
}

impl TryFrom<v1::DescribeResponse> for Description {
    type Error = Bad;

    fn try_from(response: v1::DescribeResponse) -> Result<Self, Bad> {
        let state = match response.status() {
            Status::Unspecified => return Err(Bad::Missing("status")),
            Status::None => State::None,
            Status::Live => State::Live,
            Status::Interrupted => State::Interrupted,
            Status::Ended => State::Ended,
        };
        Ok(Self {
            state,
            pair: bad::optional_pair(response.pair)?,
            room_time_ms: response.room_time_ms,
        })
    }
}

impl From<&Description> for v1::DescribeResponse {
    fn from(description: &Description) -> Self {
        let status = match description.state {
            State::None => Status::None,
            State::Live => Status::Live,
            State::Interrupted => Status::Interrupted,
            State::Ended => Status::Ended,
        };
        Self {
            status: status.into(),
            pair: description.pair.as_ref().map(Into::into),
            room_time_ms: description.room_time_ms,
        }
    }
}
