//! HEVC configuration records, and access units read with them: an input is the length of the
//! record in two bytes, the record, and an access unit.

use isocast_media::codec::hevc::DecoderConfig;

/// `read` or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Some((&[high, low], rest)) = data.split_first_chunk() else {
        return "refused";
    };
    let record_len = usize::from(u16::from_be_bytes([high, low]));
    let (record, access_unit) = rest.split_at(rest.len().min(record_len));
    let Ok(config) = DecoderConfig::parse(record) else {
        return "refused";
    };
    assert!(!config.sps.is_empty());
    let sets = config.vps.iter().chain(&config.sps).chain(&config.pps);
    assert!(sets.map(|set| set.len()).sum::<usize>() < record.len());
    assert!((1..=16_384).contains(&config.picture.width));
    assert!((1..=16_384).contains(&config.picture.height));
    let frame_rate = config.picture.frame_rate;
    assert!(frame_rate.is_none_or(|rate| rate.per_second().is_finite()));
    let codec_string = config.codec_string();
    assert!(codec_string.starts_with("hvc1.") && codec_string.len() < 48);

    let nals: Vec<_> = config.nal_units(access_unit).collect();
    let bytes: usize = nals.iter().flatten().map(|nal| nal.len()).sum();
    assert!(bytes <= access_unit.len());
    for sps in config.sps_in(access_unit) {
        assert!((1..=16_384).contains(&sps.width) && (1..=16_384).contains(&sps.height));
    }
    "read"
}
