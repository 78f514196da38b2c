import type { Live } from '../api/live.ts';
import { Progress } from './progress.ts';
import { streamUrl, type Protocol } from './protocol.ts';
import { tracksOf } from './tracks.ts';
import { openTransport, type Reading, type Transport } from './transport.ts';

/** One protocol tried once, from the first byte until it is over; then it is closed and another one is made. */
export class Attempt {
  readonly protocol: Protocol;
  readonly progress: Progress;
  readonly #video: HTMLVideoElement;
  #transport: Transport | null = null;
  #state: 'open' | 'finished' | 'failed' | 'closed' = 'open';

  constructor(video: HTMLVideoElement, protocol: Protocol, live: Live, nowMs: number) {
    this.protocol = protocol;
    this.progress = new Progress(nowMs);
    this.#video = video;
    void this.#open(live);
  }

  /** Looks at the picture and keeps it near the live edge; `mayWait` is true while the broadcaster is known to be away. */
  tick(nowMs: number, mayWait: boolean): void {
    const held = this.#video.paused || this.#video.seeking;
    this.progress.observe(nowMs, this.#video.currentTime, held);
    if (!held && this.#state === 'open') {
      this.#transport?.steer();
    }
    if (this.progress.stillForMs(nowMs) > this.#patienceMs(mayWait)) {
      this.#conclude('failed');
    }
  }

  /** How it ended, once there is nothing more to see of it. */
  get outcome(): 'finished' | 'failed' | null {
    if (this.#state === 'failed') {
      return 'failed';
    }
    const playedOut = this.#video.ended || !this.progress.moving;
    return this.#state === 'finished' && playedOut ? 'finished' : null;
  }

  /** Whether the viewer, or the browser's autoplay rule, holds the picture. */
  get paused(): boolean {
    return this.#transport !== null && this.#video.paused && !this.#video.ended;
  }

  reading(nowMs: number): Reading {
    return this.#transport?.reading(nowMs) ?? { latencyMs: null, bitsPerSecond: null };
  }

  toLiveEdge(): void {
    this.#transport?.toLiveEdge();
  }

  close(): void {
    this.#state = 'closed';
    this.#transport?.close();
    this.#transport = null;
  }

  async #open(live: Live): Promise<void> {
    try {
      const transport = await openTransport(this.protocol, {
        video: this.#video,
        url: streamUrl(this.protocol, live.urls, location.origin),
        tracks: tracksOf(live, Date.now()),
        report: { finished: () => this.#conclude('finished'), failed: () => this.#conclude('failed') },
      });
      if (this.#state === 'closed') {
        transport.close();
        return;
      }
      this.#transport = transport;
      // Refused without a gesture of the viewer: the element stays paused, and the page shows its play button.
      this.#video.play().catch(() => undefined);
    } catch {
      this.#conclude('failed');
    }
  }

  #conclude(state: 'finished' | 'failed'): void {
    if (this.#state === 'open') {
      this.#state = state;
    }
  }

  #patienceMs(mayWait: boolean): number {
    if (mayWait) {
      return HOLD_PATIENCE_MS;
    }
    return this.progress.everMoved ? STALL_PATIENCE_MS : FIRST_PICTURE_PATIENCE_MS;
  }
}

// A first HLS segment takes up to 6 s to be cut, and is then fetched.
const FIRST_PICTURE_PATIENCE_MS = 12_000;
// A live stream that brings nothing for so long is broken in a way that TCP does not see.
const STALL_PATIENCE_MS = 8_000;
// The node waits 15 s for a broadcaster to come back, then ends the stream itself.
const HOLD_PATIENCE_MS = 30_000;
