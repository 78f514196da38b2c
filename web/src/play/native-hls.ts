import { hlsLatencyMs } from './latency.ts';
import type { Opening, Reading, Transport } from './transport.ts';

/** Plays HLS by the browser's own player, where there are no Media Source Extensions. */
export function openNativeHls({ video, url, report }: Opening): Transport {
  const closing = new AbortController();
  video.addEventListener('ended', () => report.finished(), { signal: closing.signal });
  video.addEventListener('error', () => report.failed(), { signal: closing.signal });
  video.src = url;
  return new NativeHls(video, closing);
}

class NativeHls implements Transport {
  readonly #video: HTMLVideoElement;
  readonly #closing: AbortController;

  constructor(video: HTMLVideoElement, closing: AbortController) {
    this.#video = video;
    this.#closing = closing;
  }

  /** The browser keeps to its own live edge. */
  steer(): void {}

  toLiveEdge(): void {
    const edge = this.#edge();
    if (edge !== null) {
      this.#video.currentTime = Math.max(this.#video.currentTime, edge - BEHIND_EDGE_S);
    }
  }

  reading(nowMs: number): Reading {
    const edge = this.#edge();
    const startedAtMs = startDateMs(this.#video);
    const playingAtMs = startedAtMs === null ? null : startedAtMs + this.#video.currentTime * 1000;
    const toEdgeMs = edge === null ? null : (edge - this.#video.currentTime) * 1000;
    return { latencyMs: hlsLatencyMs(nowMs, playingAtMs, toEdgeMs), bitsPerSecond: null };
  }

  close(): void {
    this.#closing.abort();
    this.#video.removeAttribute('src');
    this.#video.load();
  }

  #edge(): number | null {
    const { seekable } = this.#video;
    return seekable.length === 0 ? null : seekable.end(seekable.length - 1);
  }
}

// Two segments of 2 s.
const BEHIND_EDGE_S = 4;

/** The wall clock at position 0, which Safari takes from EXT-X-PROGRAM-DATE-TIME. */
function startDateMs(video: HTMLVideoElement & { getStartDate?: () => Date }): number | null {
  const atMs = video.getStartDate?.().getTime() ?? NaN;
  return Number.isNaN(atMs) ? null : atMs;
}
