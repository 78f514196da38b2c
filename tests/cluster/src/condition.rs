use serde_json::Value;

/// What an object's status answers to one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False`, `Unknown`; empty where nobody has answered.
    pub status: String,
    pub reason: String,
    pub message: String,
    pub observed_generation: i64,
    pub last_transition_time: String,
}

impl Condition {
    #[must_use]
    pub fn of(object: &Value, type_: &str) -> Self {
        let all = object["status"]["conditions"].as_array();
        let Some(found) = all.into_iter().flatten().find(|one| one["type"] == type_) else {
            return Self::default();
        };
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Self {
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            observed_generation: found["observedGeneration"].as_i64().unwrap_or_default(),
            last_transition_time: text("lastTransitionTime"),
        }
    }

    /// Whether it answers so.
    #[must_use]
    pub fn is(&self, status: &str, reason: &str) -> bool {
        self.status == status && self.reason == reason
    }
}

/// Ready, and of the object as it is now.
#[must_use]
pub fn is_ready(object: &Value) -> bool {
    let ready = Condition::of(object, "Ready");
    ready.status == "True" && object["metadata"]["generation"] == ready.observed_generation
}
