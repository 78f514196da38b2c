import type { Protocol } from './protocol.ts';

/** What a page tells of one stretch of watching; the node takes no more. */
export interface Report {
  readonly protocol: 'http-flv' | 'ws-flv' | 'hls' | 'native-hls';
  /** From the moment the room was known to be live to the first picture; in the first report only. */
  readonly first_frame_ms?: number;
  readonly stalls: number;
  readonly stalled_ms: number;
  readonly watched_ms: number;
  readonly latency_ms?: number;
}

/** What a look at the player sees. */
export interface Sight {
  readonly live: boolean;
  readonly protocol: Protocol | null;
  readonly moving: boolean;
  readonly paused: boolean;
  /** Counted since the page was opened. */
  readonly stalls: number;
  readonly latencyMs: number | null;
}

/** Adds up what a viewer sees, and says when there is something to tell. */
export class Experience {
  #liveAtMs: number | null = null;
  #firstFrameMs: number | null = null;
  #firstFrameTold = false;
  #lastLookMs: number | null = null;
  #reportAtMs = Infinity;
  #protocol: Protocol | null = null;
  #stalls = 0;
  #stallsTold = 0;
  #stalledMs = 0;
  #watchedMs = 0;
  #latencyMs: number | null = null;

  /** Looks at the player; what is to be told now, if anything is. */
  look(nowMs: number, sight: Sight): Report | null {
    const sinceMs = this.#lastLookMs === null ? 0 : Math.min(nowMs - this.#lastLookMs, LOOK_MS_MAX);
    this.#lastLookMs = nowMs;
    if (sight.live) {
      this.#liveAtMs ??= nowMs;
    }
    if (sight.moving && this.#firstFrameMs === null && this.#liveAtMs !== null) {
      this.#firstFrameMs = nowMs - this.#liveAtMs;
      this.#reportAtMs = nowMs + FIRST_REPORT_MS;
    }
    this.#protocol = sight.protocol ?? this.#protocol;
    this.#latencyMs = sight.latencyMs ?? this.#latencyMs;
    this.#stalls = sight.stalls;
    // Who has seen a picture of a live room and did not pause it is waiting for the next one.
    if (this.#firstFrameMs !== null && sight.live && !sight.paused) {
      this.#watchedMs += sinceMs;
      this.#stalledMs += sight.moving ? 0 : sinceMs;
    }
    return nowMs >= this.#reportAtMs ? this.take(nowMs) : null;
  }

  /** All that was not told yet; null where there is nothing. */
  take(nowMs: number): Report | null {
    this.#reportAtMs = this.#firstFrameMs === null ? Infinity : nowMs + REPORT_MS;
    if (this.#protocol === null || this.#firstFrameMs === null || this.#watchedMs === 0) {
      return null;
    }
    const first = this.#firstFrameTold ? {} : { first_frame_ms: whole(this.#firstFrameMs, WAIT_MS_MAX) };
    const latency = this.#latencyMs === null ? {} : { latency_ms: whole(this.#latencyMs, WAIT_MS_MAX) };
    const watchedMs = whole(this.#watchedMs, WATCHED_MS_MAX);
    const report: Report = {
      protocol: this.#protocol === 'flv' ? 'http-flv' : this.#protocol,
      ...first,
      stalls: whole(this.#stalls - this.#stallsTold, STALLS_MAX),
      stalled_ms: whole(this.#stalledMs, watchedMs),
      watched_ms: watchedMs,
      ...latency,
    };
    this.#firstFrameTold = true;
    this.#stallsTold = this.#stalls;
    this.#stalledMs = 0;
    this.#watchedMs = 0;
    this.#latencyMs = null;
    return report;
  }
}

function whole(value: number, max: number): number {
  return Math.min(Math.max(0, Math.round(value)), max);
}

/** Whether a viewer's browser asks not to be told of. */
export function asksForPrivacy(asked: { readonly doNotTrack?: string | null; readonly globalPrivacyControl?: boolean }): boolean {
  return asked.doNotTrack === '1' || asked.globalPrivacyControl === true;
}

const FIRST_REPORT_MS = 10_000;
const REPORT_MS = 60_000;
// Between looks are 250 ms; a page in the background, or a machine that slept, looks later and saw nothing.
const LOOK_MS_MAX = 2_000;
// What the node takes at most.
const WAIT_MS_MAX = 600_000;
const WATCHED_MS_MAX = 86_400_000;
const STALLS_MAX = 10_000;
