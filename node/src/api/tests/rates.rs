//! Who asks too often is told so, by kind, and nobody else suffers.

use super::*;

const READ: &str = "GET /api/v1/rooms/open";
const WRONG: (&str, &str) = ("authorization", "Bearer wrong");

async fn node(limit: impl FnOnce(&mut Config)) -> Node {
    let mut config = Config::default();
    limit(&mut config);
    Node::with(config, Arc::new(Memory::new())).await
}

impl Node {
    /// Status and code of an answer.
    async fn told(&self, line: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let answer = self.ask(line, headers, "").await;
        if answer.status == 429 {
            // 30 at once, and less the longer the test takes.
            let wait_s = answer.retry_after_s();
            assert!(matches!(wait_s, Some(1..=30)), "{answer:?}");
        }
        match answer.status {
            200..300 => (answer.status, String::new()),
            status => (status, answer.code()),
        }
    }

    fn counted(&self, reason: &str) -> bool {
        let line = format!("isocast_refusals_total{{surface=\"http\",reason=\"{reason}\"}} 1");
        self.app.metrics.render("").lines().any(|it| it == line)
    }
}

#[tokio::test]
async fn each_kind_has_a_limit_of_its_own() {
    let write = "DELETE /api/v1/rooms/nobody";
    let (list, one) = ("GET /api/v1/live", "GET /api/v1/live/open");
    let too_many = (429, "too_many".to_owned());
    for (reason, asked) in [
        ("api_read_rate", [READ, "HEAD /api/v1/rooms", READ]),
        ("api_write_rate", [write; 3]),
        ("public_read_rate", [list, one, one]),
    ] {
        let node = node(|config| {
            config.rate.api_read_per_min_max = 2;
            config.rate.api_write_per_min_max = 2;
            config.rate.public_read_per_min_max = 2;
        })
        .await;
        for line in &asked[..2] {
            assert_ne!(
                node.ask(line, &[AUTHORIZED], "").await.status,
                429,
                "{line}"
            );
        }
        assert_eq!(
            node.told(asked[2], &[AUTHORIZED]).await,
            too_many,
            "{reason}"
        );
        assert!(node.counted(reason), "{reason}");
        for line in [READ, write, list]
            .iter()
            .filter(|line| !asked.contains(line))
        {
            assert_ne!(node.told(line, &[AUTHORIZED]).await, too_many, "{line}");
        }
        assert_eq!(node.told("GET /hls/shut/index.m3u8", &[]).await.0, 403);
        let internal = ask(node.internal, READ, &[AUTHORIZED], "").await;
        assert_eq!(internal.status, 200, "the internal port counts nothing");
    }
}

#[tokio::test]
async fn a_right_token_is_let_in_however_many_were_wrong() {
    let node = node(|config| {
        config.rate.auth_failures_per_min_max = 2;
        config.rate.api_read_per_min_max = 2;
    })
    .await;
    let wrong = (401, "unauthorized".to_owned());
    assert_eq!(node.told(READ, &[WRONG]).await, wrong);
    assert_eq!(node.told(READ, &[]).await, wrong);
    let too_many = (429, "auth_failures".to_owned());
    assert_eq!(node.told(READ, &[WRONG]).await, too_many);
    assert!(node.counted("auth_failures"));
    for _ in 0..2 {
        assert_eq!(node.told(READ, &[AUTHORIZED]).await.0, 200);
    }
    let internal = ask(node.internal, READ, &[WRONG], "").await;
    assert_eq!(internal.status, 401, "the internal port counts nothing");
}

#[tokio::test]
async fn clients_of_a_proxy_are_told_apart_and_a_proxy_that_tells_nothing_is_not_limited() {
    let node = node(|config| {
        config.rate.api_read_per_min_max = 1;
        config.proxies.trusted = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let of = |client| [AUTHORIZED, ("x-forwarded-for", client)];
    assert_eq!(node.told(READ, &[AUTHORIZED]).await.0, 200);
    assert_eq!(node.told(READ, &[AUTHORIZED]).await.0, 200);
    for (client, status) in [
        ("2001:db8::1", 200),
        ("2001:db8:0:1::1", 200),
        ("2001:db8::2", 429),
        ("192.0.2.1", 200),
        ("\u{fc}, 192.0.2.1", 429),
    ] {
        let answer = node.ask(READ, &of(client), "").await;
        assert_eq!(answer.status, status, "{client}");
    }
}

#[tokio::test]
async fn zero_is_no_limit() {
    let node = node(|config| config.rate.auth_failures_per_min_max = 0).await;
    for _ in 0..150 {
        assert_eq!(node.told(READ, &[WRONG]).await.0, 401);
    }
}
