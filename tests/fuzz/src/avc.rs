//! AVC configuration records, and access units read with them: an input is the length of the
//! record in one byte, the record, and an access unit.

use isocast_media::codec::avc::DecoderConfig;

/// `read` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Some((&record_len, rest)) = data.split_first() else {
        return "refused";
    };
    let (record, access_unit) = rest.split_at(rest.len().min(record_len.into()));
    let Ok(config) = DecoderConfig::parse(record) else {
        return "refused";
    };
    assert!(!config.sps.is_empty() && config.sps.len() < 32);
    let sets = config.sps.iter().chain(&config.pps);
    assert!(sets.map(|set| set.len()).sum::<usize>() < record.len());
    let frame_rate = config.picture.frame_rate;
    assert!(frame_rate.is_none_or(|rate| rate.per_second().is_finite()));
    assert_eq!(config.codec_string().len(), "avc1.PPCCLL".len());

    let nals: Vec<_> = config.nal_units(access_unit).collect();
    let bytes: usize = nals.iter().flatten().map(|nal| nal.len()).sum();
    assert!(bytes <= access_unit.len());
    for sps in config.sps_in(access_unit) {
        assert!((1..=16_384).contains(&sps.width) && (1..=16_384).contains(&sps.height));
    }
    "read"
}
