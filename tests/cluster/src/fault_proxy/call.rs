/// One request of a reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub verb: String,
    /// Below the namespace, without its query: `services/live-rtmp`.
    pub path: String,
}

impl Call {
    /// `None` for a request that is not counted.
    pub(super) fn of(method: &str, target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        let (_, below) = path.split_once("/namespaces/")?;
        let (_, path) = below.split_once('/')?;
        let (kind, name) = path.split_once('/').unwrap_or((path, ""));
        let is_counted = match kind {
            "leases" | "events" => false,
            // One object is read, or all of a kind are listed or watched.
            _ => method != "GET" || !name.is_empty(),
        };
        is_counted.then(|| Self {
            verb: method.to_owned(),
            path: path.to_owned(),
        })
    }

    #[must_use]
    pub fn is_write(&self) -> bool {
        self.verb != "GET"
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::Call;

    #[test]
    fn calls_of_reconciliations_are_told_from_others() {
        for (method, target, call) in [
            ("GET", "/api/v1/namespaces/n/secrets/s", "GET secrets/s"),
            (
                "POST",
                "/api/v1/namespaces/n/secrets?fieldManager=m",
                "POST secrets",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/n/statefulsets/s?force=true",
                "PATCH statefulsets/s",
            ),
            (
                "PATCH",
                "/apis/isocast.dev/v1alpha1/namespaces/n/liverooms/r/status",
                "PATCH liverooms/r/status",
            ),
            (
                "POST",
                "/api/v1/namespaces/n/pods/p/eviction",
                "POST pods/p/eviction",
            ),
            (
                "DELETE",
                "/api/v1/namespaces/n/services/s",
                "DELETE services/s",
            ),
            ("GET", "/api/v1/namespaces/n/pods?watch=true", ""),
            ("GET", "/api/v1/pods?limit=500", ""),
            ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", ""),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/n/leases/l",
                "",
            ),
            ("GET", "/version", ""),
        ] {
            let told = Call::of(method, target).map(|call| call.to_string());
            assert_eq!(told.unwrap_or_default(), call, "{method} {target}");
        }
    }
}
