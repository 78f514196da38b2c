//! A media playlist as another node sends it.

use isocast_media::hls::{Listed, PLAYLIST_BYTES_MAX};

/// `live`, `ended`, or `refused`. What is taken names nothing outside its own folder.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(listed) = Listed::read(data) else {
        return "refused";
    };
    assert!(data.len() <= PLAYLIST_BYTES_MAX);
    for (msn, name) in (listed.first_msn..=listed.last_msn()).zip(&listed.names) {
        let (claim, file) = name.split_once('/').expect("a folder and a file");
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        assert!(claim.bytes().all(is_safe));
        assert_eq!(file, format!("{msn}.ts"));
    }
    match listed.ended {
        true => "ended",
        false => "live",
    }
}
