//! Which wall-clock time a media time was live at, for `EXT-X-PROGRAM-DATE-TIME`.

use crate::time::UnixMs;

/// A gap in media time up to this is time that passed; a longer one is a jump of the timeline,
/// and dates go on as if there were no gap.
const GAP_MS_MAX: i64 = 60_000;

/// Anchored when a publisher starts, then advances with media time and never goes back.
#[derive(Debug, Default)]
pub(super) struct Wall {
    anchor: Anchor,
    /// No date is before this: where the segment before ended.
    floor: Option<UnixMs>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Anchor {
    /// The next frame seen was live at this time; without one, at the floor.
    AtNextFrame(UnixMs),
    #[default]
    AtFloor,
    Set {
        wall: UnixMs,
        media_ms: i64,
    },
}

impl Wall {
    pub(super) fn begin(&mut self, wall: UnixMs) {
        self.anchor = Anchor::AtNextFrame(wall);
    }

    /// Media time jumped; wall time did not.
    pub(super) fn jump(&mut self) {
        self.anchor = Anchor::AtFloor;
    }

    pub(super) fn see_frame(&mut self, media_ms: i64) {
        let floor = self.floor.unwrap_or_default();
        let wall = match self.anchor {
            Anchor::AtNextFrame(wall) => wall.max(floor),
            Anchor::AtFloor => floor,
            Anchor::Set { .. } => return,
        };
        self.floor = Some(wall);
        self.anchor = Anchor::Set { wall, media_ms };
    }

    /// The date of a segment that starts here.
    pub(super) fn date(&mut self, media_ms: i64) -> UnixMs {
        self.see_frame(media_ms);
        let floor = self.floor.unwrap_or_default();
        if let Anchor::Set {
            wall,
            media_ms: then,
        } = self.anchor
        {
            let date = wall + media_ms.saturating_sub(then);
            if (0..=GAP_MS_MAX).contains(&(date - floor)) {
                return date;
            }
        }
        self.anchor = Anchor::Set {
            wall: floor,
            media_ms,
        };
        floor
    }

    /// A segment with this date ended after so long.
    pub(super) fn end(&mut self, date: UnixMs, duration_ms: u64) {
        self.floor = Some(date + i64::try_from(duration_ms).unwrap_or(i64::MAX));
    }
}
