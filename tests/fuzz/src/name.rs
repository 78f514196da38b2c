//! What names rooms and opens them: room ids, stream names, publish keys.

use isocast_admin::{PublishKey, RoomId};

/// `key`, `stream`, `id`, or `none`. What was read is written as it came, and a key is shown to
/// nobody.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(data) else {
        return "none";
    };
    if let Ok(key) = PublishKey::parse(text) {
        assert_eq!(key.reveal(), text);
        let again = PublishKey::with_secret(key.room(), key.secret());
        assert_eq!(again.expect("its own parts").reveal(), text);
        check_id(key.room());
        assert!(!format!("{key:?}").contains(text));
        return "key";
    }
    if let Ok(id) = RoomId::from_stream_name(text) {
        assert_eq!(id.stream_name(), text);
        assert!(RoomId::parse(text).is_err(), "a name is taken for an id");
        check_id(&id);
        return "stream";
    }
    match RoomId::parse(text) {
        Ok(id) => {
            assert_eq!(id.as_str(), text);
            check_id(&id);
            "id"
        }
        Err(_) => "none",
    }
}

/// It is safe in URLs, file names and registry keys.
fn check_id(id: &RoomId) {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    assert!(id.as_str().bytes().all(is_safe));
    assert!((1..=64).contains(&id.as_str().len()));
    assert_eq!(RoomId::from_stream_name(&id.stream_name()).as_ref(), Ok(id));
}
