//! AV1 configuration records, and the temporal units that may hold what they leave out: an input
//! is the length of the record in one byte, the record, and a temporal unit.

use isocast_media::codec::av1::{CodecConfig, SequenceHeader};

/// `read` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Some((&record_len, rest)) = data.split_first() else {
        return "refused";
    };
    let (record, unit) = rest.split_at(rest.len().min(record_len.into()));
    let in_unit = SequenceHeader::find(unit).unwrap_or(None);
    let Ok(config) = CodecConfig::parse(record) else {
        return "refused";
    };
    assert_eq!(config.codec_string().len(), "av01.P.LLT.DD".len());
    for sequence in config.sequence.iter().chain(&in_unit) {
        assert!((1..=16_384).contains(&sequence.width));
        assert!((1..=16_384).contains(&sequence.height));
        let frame_rate = sequence.frame_rate;
        assert!(frame_rate.is_none_or(|rate| rate.per_second().is_finite()));
    }
    "read"
}
