import type { Live } from '../api/live.ts';

/** Which tracks to wait for; an absent field leaves it to the stream's own header. */
export interface Tracks {
  readonly hasVideo?: boolean;
  readonly hasAudio?: boolean;
}

/**
 * The tracks of a broadcast. A player that expects a track which never comes shows nothing at all, but in a broadcast's
 * first moments a track may only not have been seen yet: so its absence is believed after a while.
 */
export function tracksOf(live: Live, nowMs: number): Tracks {
  const settled = nowMs - live.startedAtMs >= SETTLED_MS;
  if (!settled || (live.video === null) === (live.audio === null)) {
    return {};
  }
  return { hasVideo: live.video !== null, hasAudio: live.audio !== null };
}

const SETTLED_MS = 3_000;
