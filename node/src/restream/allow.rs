use crate::rooms::PushUrl;

/// The hosts that targets may name, beside the rules for addresses.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    /// `a.example`, or `*.a.example` for all names below it; empty: all.
    hosts: Vec<String>,
}

impl Allowed {
    pub(crate) fn new(hosts: &[String]) -> Self {
        Self {
            hosts: hosts.iter().map(|host| host.to_lowercase()).collect(),
        }
    }

    pub(crate) fn has(&self, url: &PushUrl) -> bool {
        let host = url.host.trim_end_matches('.');
        let is_of = |allowed: &String| match allowed.strip_prefix('*') {
            Some(below) => host.len() > below.len() && host.ends_with(below),
            None => host == allowed,
        };
        self.hosts.is_empty() || self.hosts.iter().any(is_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_whole_or_by_what_they_are_below() {
        let allowed = |hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            Allowed::new(&hosts)
        };
        let listed = allowed(&["a.example", "*.B.example"]);
        for (host, expected) in [
            ("a.example", true),
            ("A.EXAMPLE", true),
            ("a.example.", true),
            ("x.a.example", false),
            ("xa.example", false),
            ("x.b.example", true),
            ("x.y.b.example", true),
            ("b.example", false),
            (".b.example", false),
            ("xb.example", false),
            ("127.0.0.1", false),
        ] {
            let Ok(url) = format!("rtmp://{host}/live").parse() else {
                assert!(!expected, "{host}");
                continue;
            };
            assert_eq!(listed.has(&url), expected, "{host}");
            assert!(allowed(&[]).has(&url), "{host}");
        }
    }
}
