import Hls from 'hls.js/light';
import { hlsLatencyMs } from './latency.ts';
import { RecentMedian } from './median.ts';
import type { Opening, Reading, Transport } from './transport.ts';

/** Plays HLS through Media Source Extensions. */
export function openHls({ video, url, report }: Opening): Transport {
  const hls = new Hls(CONFIG);
  let mayRecover = true;
  hls.on(Hls.Events.ERROR, (_, error) => {
    if (!error.fatal) {
      return;
    }
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && mayRecover) {
      mayRecover = false;
      hls.recoverMediaError();
    } else {
      report.failed();
    }
  });
  const transport = new HlsJs(video, hls);
  hls.loadSource(url);
  hls.attachMedia(video);
  // An ended playlist lets the buffer play out, and then the element says so.
  video.addEventListener('ended', () => report.finished(), { signal: transport.closed });
  return transport;
}

const CONFIG = {
  // This build carries no worker; repacking one stream is little work for the page itself.
  enableWorker: false,
  // Two segments of 2 s behind the playlist's end: one to play, one on its way.
  liveSyncDurationCount: 2,
  liveMaxLatencyDurationCount: 8,
  maxLiveSyncPlaybackRate: 1.1,
  backBufferLength: 15,
} as const;

// Five segments are about 10 s.
const SEGMENT_SAMPLES = 5;

class HlsJs implements Transport {
  readonly #video: HTMLVideoElement;
  readonly #hls: Hls;
  readonly #bitsPerSecond = new RecentMedian(SEGMENT_SAMPLES);
  readonly #closing = new AbortController();

  constructor(video: HTMLVideoElement, hls: Hls) {
    this.#video = video;
    this.#hls = hls;
    hls.on(Hls.Events.FRAG_BUFFERED, (_, { frag, stats }) => {
      if (frag.duration > 0 && stats.total > 0) {
        this.#bitsPerSecond.add((stats.total * 8) / frag.duration);
      }
    });
  }

  /** Aborts when the transport is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /** hls.js keeps to its own live edge. */
  steer(): void {}

  toLiveEdge(): void {
    const edge = this.#hls.liveSyncPosition;
    if (edge !== null && edge > this.#video.currentTime) {
      this.#video.currentTime = edge;
    }
  }

  reading(nowMs: number): Reading {
    const toEdgeS = this.#hls.latency;
    return {
      latencyMs: hlsLatencyMs(nowMs, this.#hls.playingDate?.getTime() ?? null, toEdgeS > 0 ? toEdgeS * 1000 : null),
      bitsPerSecond: this.#bitsPerSecond.value(),
    };
  }

  close(): void {
    this.#closing.abort();
    this.#hls.destroy();
    this.#video.playbackRate = 1;
  }
}
