//! AAC configuration records.

use isocast_media::codec::aac::AudioSpecificConfig;

/// `read` or `refused`. Where ADTS can carry the stream, its header holds the frame's length.
pub fn target(data: &[u8]) -> &'static str {
    let Ok(config) = AudioSpecificConfig::parse(data) else {
        return "refused";
    };
    assert!(config.codec_string().starts_with("mp4a.40."));
    assert!(config.frame_duration().as_secs() < 1_100);
    for frame_len in [0, 1, 8_184, 8_185, usize::MAX] {
        if let Some(header) = config.adts_header(frame_len) {
            let [_, _, _, high, middle, low, _] = header.map(usize::from);
            let length = (high & 0b11) << 11 | middle << 3 | low >> 5;
            assert_eq!(length, header.len() + frame_len);
        }
    }
    "read"
}
