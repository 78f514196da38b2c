//! From length-prefixed NAL units to the byte stream that MPEG-TS carries (H.264 annex B, H.265
//! annex B).

use super::Error;
use super::config::{Part, VideoConfig};
use crate::frame::Frame;

const START_CODE: &[u8] = &[0, 0, 0, 1];
/// An access unit with what it lacks: walked once to measure it, once to write it.
pub(super) struct AccessUnit<'a> {
    config: &'a VideoConfig,
    data: &'a [u8],
    own_delimiter: bool,
    add_parameter_sets: bool,
    len: usize,
}

impl<'a> AccessUnit<'a> {
    /// Reads it to its end, so that writing it cannot fail half-way.
    pub(super) fn scan(config: &'a VideoConfig, frame: &'a Frame) -> Result<Self, Error> {
        if frame.codec != config.codec() {
            return Err(Error::NoConfig);
        }
        let data = frame.data.as_ref();
        let mut unit = Self {
            config,
            data,
            own_delimiter: false,
            add_parameter_sets: false,
            len: 0,
        };
        let mut sets = 0;
        for (at, nal) in config.nal_units(data).enumerate() {
            let nal = nal?;
            unit.len += START_CODE.len() + nal.len();
            match config.part(nal) {
                Part::Delimiter if at == 0 => unit.own_delimiter = true,
                Part::Set(kind) => sets |= kind,
                Part::Delimiter | Part::Other => {}
            }
        }
        if unit.len == 0 {
            return Err(Error::Empty);
        }
        unit.add_parameter_sets = frame.is_key() && sets != config.all_sets();
        unit.len += unit
            .added()
            .map(|nal| START_CODE.len() + nal.len())
            .sum::<usize>();
        Ok(unit)
    }

    /// Bytes of all parts together.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Start codes and NAL units, in order: delimiter, parameter sets, the rest.
    pub(super) fn parts(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut own = self.config.nal_units(self.data).flatten();
        let own_delimiter = if self.own_delimiter { own.next() } else { None };
        own_delimiter
            .into_iter()
            .chain(self.added())
            .chain(own)
            .flat_map(|nal| [START_CODE, nal])
    }

    fn added(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let delimiter = (!self.own_delimiter).then(|| self.config.delimiter());
        let config = self.config;
        let sets = self
            .add_parameter_sets
            .then(|| config.sets().map(AsRef::as_ref));
        delimiter.into_iter().chain(sets.into_iter().flatten())
    }
}
