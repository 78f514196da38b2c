import type { Live } from '../api/live.ts';
import * as format from '../format.ts';

/** One line about a broadcast: picture, viewers, how long it has been live. */
export function factsOf(live: Live, nowMs: number): string {
  const facts = [picture(live), format.viewers(live.viewers), lasting(live, nowMs)];
  return facts.filter((fact) => fact !== '').join(' · ');
}

/** The word on a room's badge. */
export function badgeOf(live: Live): string {
  return live.interrupted ? 'Interrupted' : 'Live';
}

function picture(live: Live): string {
  if (live.video === null) {
    return live.audio === null ? '' : 'Audio only';
  }
  const { width, height, frameRate } = live.video;
  const size = width > 0 && height > 0 ? format.resolution(width, height) : '';
  const rate = frameRate === null ? '' : format.frameRate(frameRate);
  return [size, rate].filter((text) => text !== '').join(', ');
}

function lasting(live: Live, nowMs: number): string {
  return live.startedAtMs > 0 ? format.lasting(nowMs - live.startedAtMs) : '';
}
