//! Whether what came back is what was sent: hashes of decoded pictures and of audio packets.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ffmpeg::Ffmpeg;

/// One hash for each decoded picture of a file, in the order of display.
#[must_use]
pub fn video_frames(file: &Path) -> Vec<String> {
    let file = file.to_string_lossy();
    // Without `passthrough` ffmpeg would drop and repeat pictures to even out the frame rate.
    hashes(&["-i", &file, "-map", "0:v:0", "-fps_mode", "passthrough"])
}

/// One hash for each audio packet of a file, without the headers of its container.
#[must_use]
pub fn audio_packets(file: &Path) -> Vec<String> {
    let file = file.to_string_lossy();
    hashes(&["-i", &file, "-map", "0:a:0", "-c", "copy"])
}

/// Of every track of a file its packets, without the headers of its container, by codec: there is
/// one track of each.
#[must_use]
pub fn tracks(ffmpeg: &Ffmpeg, file: &Path) -> BTreeMap<String, Vec<String>> {
    let file = file.to_string_lossy();
    let arguments = ["-i", &file, "-map", "0", "-c", "copy"];
    let output = framehash(ffmpeg, &arguments);
    let codec = |line: &str| {
        let (index, codec) = line.strip_prefix("#codec_id ")?.split_once(": ")?;
        Some((index.to_owned(), codec.to_owned()))
    };
    let codecs: BTreeMap<_, _> = output.lines().filter_map(codec).collect();
    let mut tracks: BTreeMap<_, _> = codecs.values().map(|it| (it.clone(), vec![])).collect();
    assert_eq!(tracks.len(), codecs.len(), "one codec twice: {codecs:?}");
    for line in output.lines().filter(|line| !line.starts_with('#')) {
        let index = line.split(',').next().unwrap_or_default().trim();
        let codec = codecs.get(index).expect("a packet of a track");
        tracks.entry(codec.clone()).or_default().extend(hash(line));
    }
    tracks
}

/// Insists that `part` is one run of `whole`, without a gap, a change or a repetition, and at
/// least `least` long.
///
/// # Panics
/// With the first place where it is not.
pub fn assert_one_run(what: &str, part: &[String], whole: &[String], least: usize) {
    assert!(
        part.len() >= least,
        "{what}: {} came back, of {}; at least {least} are needed",
        part.len(),
        whole.len()
    );
    let is_run = whole.windows(part.len()).any(|run| run == part);
    if !is_run {
        let start = whole.iter().position(|hash| hash == &part[0]);
        let start = start.unwrap_or_else(|| panic!("{what}: the first one is none of those sent"));
        let same = part
            .iter()
            .zip(&whole[start..])
            .take_while(|(got, sent)| got == sent)
            .count();
        let found = part
            .get(same)
            .and_then(|hash| whole.iter().position(|sent| sent == hash));
        panic!(
            "{what}: {} came back, of {}. They begin with number {start}; after {same} comes {} instead of number {}",
            part.len(),
            whole.len(),
            found.map_or("something never sent".to_owned(), |at| format!(
                "number {at}"
            )),
            start + same,
        );
    }
}

fn hashes(arguments: &[&str]) -> Vec<String> {
    let output = framehash(&Ffmpeg::debian(), arguments);
    let lines = output.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(hash).collect()
}

/// Lines of comma separated fields, the track first and the hash last; `#` begins a comment.
fn framehash(ffmpeg: &Ffmpeg, arguments: &[&str]) -> String {
    let end = ["-f", "framehash", "-hash", "murmur3", "-"];
    let output = ffmpeg.run(arguments.iter().chain(&end));
    assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.err);
    output.out
}

fn hash(line: &str) -> Option<String> {
    Some(line.rsplit(',').next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_run_is_told_from_what_is_none() {
        let whole = words("a b c d e f");
        for (part, is_run) in [
            ("a b c d e f", true),
            ("b c d", true),
            ("f", true),
            ("a c d", false),
            ("a b b c", false),
            ("b a", false),
            ("x", false),
            ("e f a", false),
        ] {
            let part = words(part);
            let outcome = std::panic::catch_unwind(|| assert_one_run("test", &part, &whole, 1));
            assert_eq!(outcome.is_ok(), is_run, "{part:?}");
        }
        let short = std::panic::catch_unwind(|| assert_one_run("test", &words("a b"), &whole, 3));
        assert!(short.is_err());
    }
}
