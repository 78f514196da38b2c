//! What has to be written so that what is becomes what is wanted. Decided here, without a client.

use super::covers::{covers, without_server_fields};
use super::object::Object;
use crate::names::{APPLIED, hash};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// There is no such object.
    Create(Object),
    /// The object is ours and differs.
    Change { from: Object, to: Object },
    /// The object is ours and wanted no more.
    Delete(Object),
}

/// An object of a wanted name belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object} exists and does not belong to this LiveCluster: rename or delete one of the two")]
pub(crate) struct NotOwned {
    pub object: String,
}

/// The steps from `live` to `wanted`, none if they agree. `live` are the objects that carry the
/// owner's label or a wanted name.
pub(crate) fn steps(
    owner_uid: &str,
    live: &[Object],
    wanted: Vec<Object>,
) -> Result<Vec<Step>, NotOwned> {
    let mut steps = Vec::new();
    let mut kept = Vec::new();
    for wanted in wanted {
        let wanted = sealed(wanted);
        let found = live
            .iter()
            .find(|live| live.kind == wanted.kind && live.name() == wanted.name());
        kept.push((wanted.kind, wanted.name().to_owned()));
        match found {
            None => steps.push(Step::Create(wanted)),
            Some(found) if !found.is_controlled_by(owner_uid) => {
                return Err(NotOwned {
                    object: found.to_string(),
                });
            }
            Some(found) if is_done(found, &wanted) => {}
            Some(found) => steps.push(Step::Change {
                from: found.clone(),
                to: wanted,
            }),
        }
    }
    let orphans = live.iter().filter(|live| {
        live.is_controlled_by(owner_uid)
            && !live.is_being_deleted()
            && !kept
                .iter()
                .any(|(kind, name)| *kind == live.kind && *name == live.name())
    });
    steps.extend(orphans.cloned().map(Step::Delete));
    Ok(steps)
}

/// The annotation tells a field that was applied once and is wanted no more; the comparison tells
/// what others have changed.
fn is_done(found: &Object, wanted: &Object) -> bool {
    found.annotation(APPLIED) == wanted.annotation(APPLIED) && covers(found.value(), wanted.value())
}

fn sealed(mut wanted: Object) -> Object {
    let content = without_server_fields(wanted.value().clone());
    wanted.set_annotation(APPLIED, &hash(content.to_string().as_bytes()));
    wanted
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::object::Kind;
    use super::*;

    const OURS: &str = "uid-1";

    fn service(name: &str, fields: Value) -> Object {
        let metadata =
            json!({"name": name, "ownerReferences": [{"uid": OURS, "controller": true}]});
        let mut value = json!({"metadata": metadata});
        for (key, field) in fields.as_object().expect("fields") {
            value[key] = field.clone();
        }
        Object::new(Kind::Service, value)
    }

    /// The object after it was applied.
    fn applied(wanted: &Object) -> Object {
        let mut value = sealed(wanted.clone()).value().clone();
        value["metadata"]["uid"] = json!("s-1");
        value["metadata"]["resourceVersion"] = json!("7");
        value["spec"]["sessionAffinity"] = json!("None");
        Object::new(Kind::Service, value)
    }

    #[test]
    fn what_agrees_needs_no_step() {
        let wanted = service("a", json!({"spec": {"type": "ClusterIP"}}));
        assert_eq!(steps(OURS, &[applied(&wanted)], vec![wanted]), Ok(vec![]));
    }

    #[test]
    fn what_is_missing_differs_or_is_left_over_gets_one_step() {
        let a = service("a", json!({"spec": {"type": "ClusterIP"}}));
        let made = steps(OURS, &[], vec![a.clone()]).expect("nothing in the way");
        assert!(
            matches!(&made[..], [Step::Create(object)] if object.name() == "a"),
            "{made:?}"
        );

        let b = service("b", json!({"spec": {"type": "ClusterIP"}}));
        let made =
            steps(OURS, &[applied(&a), applied(&b)], vec![a.clone()]).expect("nothing in the way");
        assert!(
            matches!(&made[..], [Step::Delete(object)] if object.name() == "b"),
            "{made:?}"
        );

        let other = service("a", json!({"spec": {"type": "NodePort"}}));
        let made = steps(OURS, &[applied(&a)], vec![other]).expect("nothing in the way");
        assert!(matches!(&made[..], [Step::Change { .. }]), "{made:?}");
    }

    #[test]
    fn a_field_that_is_wanted_no_more_is_a_change() {
        let with = service(
            "a",
            json!({"spec": {"type": "ClusterIP", "externalTrafficPolicy": "Local"}}),
        );
        let without = service("a", json!({"spec": {"type": "ClusterIP"}}));
        let made = steps(OURS, &[applied(&with)], vec![without]).expect("nothing in the way");
        assert!(matches!(&made[..], [Step::Change { .. }]), "{made:?}");
    }

    #[test]
    fn what_others_changed_is_changed_back_and_what_they_added_stays() {
        let wanted = service("a", json!({"spec": {"type": "ClusterIP"}}));
        let mut value = applied(&wanted).value().clone();
        value["metadata"]["annotations"]["cloud"] = json!("theirs");
        let live = Object::new(Kind::Service, value.clone());
        assert_eq!(steps(OURS, &[live], vec![wanted.clone()]), Ok(vec![]));
        value["spec"]["type"] = json!("NodePort");
        let live = Object::new(Kind::Service, value);
        assert_eq!(steps(OURS, &[live], vec![wanted]).expect("ours").len(), 1);
    }

    #[test]
    fn what_is_not_ours_is_refused_as_a_name_and_left_alone_otherwise() {
        let mut value = applied(&service("a", json!({}))).value().clone();
        value["metadata"]["ownerReferences"] = json!([{"uid": "uid-2", "controller": true}]);
        let foreign = Object::new(Kind::Service, value);
        let refused = steps(
            OURS,
            std::slice::from_ref(&foreign),
            vec![service("a", json!({}))],
        );
        assert_eq!(
            refused,
            Err(NotOwned {
                object: "Service a".into()
            })
        );
        assert_eq!(steps(OURS, &[foreign], vec![]), Ok(vec![]));
    }

    #[test]
    fn what_is_going_already_is_not_deleted_again() {
        let mut value = applied(&service("a", json!({}))).value().clone();
        value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(
            steps(OURS, &[Object::new(Kind::Service, value)], vec![]),
            Ok(vec![])
        );
    }
}
