//! Conditions: what a status says, one answer for each question.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

/// The answer to a condition's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    True,
    False,
    Unknown,
}

/// Gives the condition `type_` this answer. A condition keeps its place in the list, and the time
/// of its last transition for as long as its status is the same.
pub(crate) fn set(
    list: &mut Vec<Condition>,
    type_: &str,
    status: Status,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    let place = list.iter().position(|condition| condition.type_ == type_);
    let since = place
        .map(|place| &list[place])
        .filter(|before| before.status == status.as_str())
        .map_or(Time(now), |before| before.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(generation),
        last_transition_time: since,
    };
    match place {
        Some(place) => list[place] = condition,
        None => list.push(condition),
    }
}

/// Leaves out what others have added: that is theirs to write.
pub(crate) fn keep_ours(list: &mut Vec<Condition>, types: &[&str]) {
    list.retain(|condition| types.contains(&condition.type_.as_str()));
}

/// Whether a status that has observed this generation speaks of the object as it is.
pub(crate) fn is_told(observed: Option<i64>, object: &ObjectMeta) -> bool {
    observed.is_some() && observed == object.generation
}

impl Status {
    pub(crate) const fn of(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_transition_is_a_change_of_status_alone() {
        let mut list = Vec::new();
        for (second, status, reason, since) in [
            (1, Status::False, "Waiting", 1),
            (2, Status::False, "StillWaiting", 1),
            (3, Status::Unknown, "Lost", 3),
            (4, Status::True, "Serving", 4),
            (5, Status::True, "Serving", 4),
        ] {
            set(
                &mut list,
                "Ready",
                status,
                reason,
                "text",
                second,
                at(second),
            );
            let [ready] = &list[..] else {
                panic!("one condition: {list:?}")
            };
            assert_eq!(ready.last_transition_time, Time(at(since)), "{second}");
            assert_eq!(ready.observed_generation, Some(second));
            assert_eq!((&*ready.status, &*ready.reason), (status.as_str(), reason));
        }
    }

    #[test]
    fn conditions_keep_their_places() {
        let mut list = Vec::new();
        for type_ in ["Ready", "Live", "Stalled", "Live", "Ready"] {
            set(&mut list, type_, Status::of(true), "R", "", 1, at(1));
        }
        let types: Vec<_> = list.iter().map(|condition| &*condition.type_).collect();
        assert_eq!(types, ["Ready", "Live", "Stalled"]);
    }
}
