//! A media playlist as another node sends it.

use isocast_media::hls::{Listed, PLAYLIST_BYTES_MAX};

/// `live`, `ended`, or `refused`. What is taken names nothing outside its own folder.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(listed) = Listed::read(data) else {
        return "refused";
    };
    assert!(data.len() <= PLAYLIST_BYTES_MAX);
    for (msn, name) in (listed.first_msn..=listed.last_msn()).zip(&listed.names) {
        assert_eq!(name.msn, msn);
        let line = format!("\n{name}");
        assert!(data.windows(line.len()).any(|it| it == line.as_bytes()));
    }
    match listed.ended {
        true => "ended",
        false => "live",
    }
}
