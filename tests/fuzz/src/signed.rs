//! Passes of signed addresses: the part of a path, and the query of a stream's name.

use isocast_access::{Keyring, Pass};
use isocast_admin::RoomId;

/// `good` for a pass that the keyring signed, `invalid` for another one, `malformed` for none.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(data) else {
        return "malformed";
    };
    let found = Pass::parse(text).ok();
    if let Some(pass) = &found {
        assert_eq!(
            pass.to_string(),
            text,
            "a pass has one form, so caches keep it once"
        );
    }
    let Some(pass) = found.or_else(|| Pass::from_query(text).ok().flatten()) else {
        return "malformed";
    };
    assert_eq!(Pass::parse(&pass.to_string()), Ok(pass.clone()));
    assert_eq!(Pass::from_query(&pass.query()), Ok(Some(pass.clone())));
    let keys = Keyring::parse("k1 0123456789abcdefghijklmnopqrstuv").expect("a keyring");
    let room = RoomId::parse("demo").expect("an id");
    match pass.check(&keys, &room, pass.expires_at_s() - 1, 0) {
        Ok(()) => {
            assert_eq!(Pass::sign(&keys, &room, pass.expires_at_s()), pass);
            "good"
        }
        Err(_) => "invalid",
    }
}
