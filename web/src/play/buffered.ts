import type { Range } from './latency.ts';

/** The buffered ranges of a video element. */
export function rangesOf(video: HTMLVideoElement): Range[] {
  const { buffered } = video;
  return Array.from({ length: buffered.length }, (_, i) => ({ start: buffered.start(i), end: buffered.end(i) }));
}

/** The newest buffered position in seconds; 0 when nothing is buffered. */
export function bufferedEnd(video: HTMLVideoElement): number {
  return rangesOf(video).at(-1)?.end ?? 0;
}
