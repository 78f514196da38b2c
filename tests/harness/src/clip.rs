//! Short clips, made once by ffmpeg and kept in the target folder.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::ffmpeg::Ffmpeg;
use crate::tools::target_folder;

/// Seconds of each clip: 10 must come back, and a viewer may join late by a few.
pub const SECONDS: u32 = 16;
/// 30000/1001 frames a second.
pub const VIDEO_FRAMES_IN_10_S: usize = 300;
/// 44,100 / 1024 packets a second.
pub const AUDIO_PACKETS_IN_10_S: usize = 431;

/// H.264 High with B-frames at 29.97 frames a second, a key frame each second; AAC at 44.1 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clip {
    AudioVideo,
    AudioOnly,
    VideoOnly,
}

impl Clip {
    pub const ALL: [Self; 3] = [Self::AudioVideo, Self::AudioOnly, Self::VideoOnly];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AudioVideo => "av",
            Self::AudioOnly => "audio",
            Self::VideoOnly => "video",
        }
    }

    #[must_use]
    pub fn has_video(self) -> bool {
        self != Self::AudioOnly
    }

    #[must_use]
    pub fn has_audio(self) -> bool {
        self != Self::VideoOnly
    }

    /// The clip as an FLV file.
    ///
    /// # Panics
    /// If ffmpeg cannot make it.
    #[must_use]
    pub fn path(self) -> PathBuf {
        made(&Ffmpeg::debian(), self.name(), &self.recipe())
    }

    fn recipe(self) -> Vec<String> {
        let picture = format!("testsrc2=size=640x360:rate=30000/1001:duration={SECONDS}");
        // A rising tone, so that no packet is like another.
        let tone =
            format!("aevalsrc='0.3*sin(2*PI*(200*t+30*t*t))':sample_rate=44100:duration={SECONDS}");
        let mut recipe = Vec::new();
        let mut say = |words: &str| recipe.extend(words.split(' ').map(str::to_owned));
        if self.has_video() {
            say(&format!("-f lavfi -i {picture}"));
        }
        if self.has_audio() {
            say(&format!("-f lavfi -i {tone}"));
        }
        if self.has_video() {
            say(
                "-c:v libx264 -preset veryfast -profile:v high -bf 2 -b_strategy 0 -pix_fmt yuv420p",
            );
            say("-b:v 800k -g 30 -keyint_min 30 -sc_threshold 0");
        }
        if self.has_audio() {
            say("-c:a aac -b:a 96k -ac 2");
        }
        recipe
    }
}

/// An FLV file of [`SECONDS`] that ffmpeg makes by these inputs and encoders.
///
/// # Panics
/// If ffmpeg cannot make it.
#[must_use]
pub fn made(ffmpeg: &Ffmpeg, name: &str, recipe: &[String]) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock();
    let folder = target_folder().join("clips");
    let path = folder.join(format!("{name}-{SECONDS}s.flv"));
    if !path.exists() {
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        let part = folder.join(format!("{name}-{}.part", std::process::id()));
        let part_name = part.to_string_lossy().into_owned();
        let out = ["-y", "-f", "flv", &part_name].map(str::to_owned);
        let output = ffmpeg.run(recipe.iter().chain(&out));
        assert_eq!(output.code, Some(0), "no clip: {}", output.err);
        std::fs::rename(&part, &path).expect("a file can be renamed in its folder");
    }
    path
}

/// 25 frames a second, a key frame each second, and a rising tone, coded by the newest ffmpeg with
/// these encoders and their options.
///
/// # Panics
/// If ffmpeg cannot make it.
pub fn encode(file: &Path, seconds: u32, video: &[&str], audio: &[&str]) {
    let picture = format!("testsrc2=size=640x360:rate=25:duration={seconds}");
    // A rising tone, so that no packet is like another.
    let tone = format!("aevalsrc='0.3*sin(2*PI*(200*t+30*t*t))':duration={seconds}");
    let file = file.to_string_lossy();
    let mut recipe = vec!["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    recipe.extend([
        "-pix_fmt",
        "yuv420p",
        "-g",
        "25",
        "-keyint_min",
        "25",
        "-c:v",
    ]);
    recipe.extend(video);
    recipe.push("-c:a");
    recipe.extend(audio);
    recipe.extend(["-ac", "2", "-y", &file]);
    let output = Ffmpeg::newest().run(recipe);
    assert_eq!(output.code, Some(0), "no clip {file}: {}", output.err);
}
