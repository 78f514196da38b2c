/** Seconds buffered in front of the playing position; 0 when the position is in no range. */
export function bufferAheadS(ranges: readonly Range[], position: number): number {
  const range = ranges.find(({ start, end }) => start - EDGE_S <= position && position <= end);
  return range === undefined ? 0 : range.end - position;
}

/** A buffered range in seconds of media time. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

// Browsers report a range's start a little after its first frame when audio and video begin apart.
const EDGE_S = 0.1;

/**
 * Latency of an FLV stream, in milliseconds: what is buffered, plus how long ago the newest data came, for the broadcaster
 * has gone on since. The way from the broadcaster to the node is not in it, for FLV carries no wall clock.
 */
export function flvLatencyMs(bufferedEnd: number, position: number, newestAgeMs: number): number {
  const sinceNewest = Math.min(Math.max(0, newestAgeMs), NEWEST_AGE_MAX_MS);
  return Math.max(0, Math.round((bufferedEnd - position) * 1000 + sinceNewest));
}

// While the broadcaster is gone nothing comes, and nothing is missed either.
const NEWEST_AGE_MAX_MS = 2_000;

/**
 * Latency of an HLS stream, in milliseconds. The wall clock of EXT-X-PROGRAM-DATE-TIME tells the whole way, where the
 * viewer's clock agrees with the node's; else the distance to the playlist's edge has to do.
 */
export function hlsLatencyMs(nowMs: number, playingAtMs: number | null, toEdgeMs: number | null): number | null {
  if (playingAtMs !== null) {
    const byClock = nowMs - playingAtMs;
    // The frame on screen cannot be from the future, nor newer than the playlist allows by more than a segment or so.
    const credible = byClock >= 0 && (toEdgeMs === null || Math.abs(byClock - toEdgeMs) <= CLOCK_TRUST_MS);
    if (credible) {
      return Math.round(byClock);
    }
  }
  return toEdgeMs === null ? null : Math.max(0, Math.round(toEdgeMs));
}

const CLOCK_TRUST_MS = 15_000;
