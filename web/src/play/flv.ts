import mpegts from 'mpegts.js';
import { bufferedEnd, rangesOf } from './buffered.ts';
import { chase, LANDING_S } from './chase.ts';
import { bufferAheadS, flvLatencyMs } from './latency.ts';
import { RecentMedian } from './median.ts';
import type { Opening, Reading, Transport } from './transport.ts';

/** Plays FLV over HTTP or WebSocket (by the URL's scheme) through Media Source Extensions. */
export function openFlv({ video, url, tracks, report }: Opening): Transport {
  mpegts.LoggingControl.enableAll = false;
  const player = mpegts.createPlayer({ type: 'flv', isLive: true, url, ...tracks }, CONFIG);
  player.on(mpegts.Events.ERROR, () => report.failed());
  player.on(mpegts.Events.LOADING_COMPLETE, () => report.finished());
  const transport = new Flv(video, player);
  player.attachMediaElement(video);
  player.load();
  return transport;
}

const CONFIG = {
  // Its worker is made from source text at run time; repacking one stream is little work for the page itself.
  enableWorker: false,
  // Every byte goes to the decoder at once: the buffer that absorbs hiccups is the one we keep behind the live edge.
  enableStashBuffer: false,
  lazyLoad: false,
  autoCleanupSourceBuffer: true,
  autoCleanupMaxBackwardDuration: 30,
  autoCleanupMinBackwardDuration: 15,
} as const;

// mpegts.js reports its speed about every 600 ms: the median covers the last 5 s.
const SPEED_SAMPLES = 8;
// The first samples are the group of pictures that a viewer gets at once, faster than real time.
const BURST_SAMPLES = 3;

class Flv implements Transport {
  readonly #video: HTMLVideoElement;
  readonly #player: ReturnType<typeof mpegts.createPlayer>;
  readonly #speed = new RecentMedian(SPEED_SAMPLES);
  #newestEnd = 0;
  #newestAtMs = 0;

  constructor(video: HTMLVideoElement, player: ReturnType<typeof mpegts.createPlayer>) {
    this.#video = video;
    this.#player = player;
    let bursts = BURST_SAMPLES;
    player.on(mpegts.Events.STATISTICS_INFO, ({ speed = 0 }: { speed?: number }) => {
      if (speed > 0 && --bursts < 0) {
        // KiB per second.
        this.#speed.add(speed * 1024 * 8);
      }
    });
  }

  steer(): void {
    const move = chase(bufferAheadS(rangesOf(this.#video), this.#video.currentTime), this.#video.playbackRate);
    if ('jumpToEdge' in move) {
      this.toLiveEdge();
    } else if (move.rate !== this.#video.playbackRate) {
      this.#video.playbackRate = move.rate;
    }
  }

  toLiveEdge(): void {
    const landing = bufferedEnd(this.#video) - LANDING_S;
    if (landing > this.#video.currentTime) {
      this.#video.currentTime = landing;
    }
  }

  reading(nowMs: number): Reading {
    const end = bufferedEnd(this.#video);
    if (end > this.#newestEnd) {
      this.#newestEnd = end;
      this.#newestAtMs = nowMs;
    }
    return {
      latencyMs: end > 0 ? flvLatencyMs(end, this.#video.currentTime, nowMs - this.#newestAtMs) : null,
      bitsPerSecond: this.#speed.value(),
    };
  }

  close(): void {
    this.#player.destroy();
    this.#video.playbackRate = 1;
  }
}
