//! Who wrote what, from the API server's audit log.

use serde_json::Value;

use crate::Lab;

/// A request that asked to change something, and was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub user: String,
    /// The program, as it calls itself.
    pub agent: String,
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// `pods`, or with a subresource `pods/status`.
    pub resource: String,
    pub namespace: String,
    /// Empty where the server makes it up.
    pub name: String,
    /// The answer's HTTP status.
    pub status: u64,
}

impl Lab {
    /// All writes since the lab came up, in the order of their answers.
    ///
    /// # Panics
    /// If this is a cluster that was given: it keeps no log for the tests.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        assert!(self.is_ours, "only the lab has an audit log");
        let log = std::fs::read_to_string(self.kubeconfig.with_file_name("audit.log"));
        let log = log.expect("a lab that is up has an audit log");
        // The last line may not be whole yet.
        let whole = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
        whole.lines().map(Write::read).collect()
    }
}

impl Write {
    fn read(line: &str) -> Self {
        let entry: Value = serde_json::from_str(line).expect("an audit log's lines are JSON");
        let text = |path: &str| {
            let value = entry.pointer(path).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let subresource = text("/objectRef/subresource");
        let mut resource = text("/objectRef/resource");
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        Self {
            user: text("/user/username"),
            agent: text("/userAgent"),
            verb: text("/verb"),
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            status: entry["responseStatus"]["code"].as_u64().unwrap_or_default(),
        }
    }
}
