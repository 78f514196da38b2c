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
  /** Whether a finished stream still had something to show: a last frame after a long wait is not worth a change. */
  #playsOut = false;
  #held = false;

  constructor(video: HTMLVideoElement, protocol: Protocol, live: Live, nowMs: number) {
    this.protocol = protocol;
    this.progress = new Progress(nowMs);
    this.#video = video;
    void this.#open(live);
  }

  /** Looks at the picture and keeps it near the live edge; `mayWait` is true while the broadcaster is known to be away. */
  tick(nowMs: number, mayWait: boolean): void {
    const hold = this.paused ? 'paused' : this.#video.seeking ? 'seeking' : null;
    this.progress.observe(nowMs, this.#video.currentTime, hold);
    if (hold === null && this.#state === 'open') {
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
    const playedOut = this.#video.ended || !this.progress.moving || !this.#playsOut;
    return this.#state === 'finished' && playedOut ? 'finished' : null;
  }

  /**
   * Whether the viewer, or the browser's autoplay rule, holds the picture. A pause that nobody asked for counts once the
   * picture has moved: it came from a media key. Before, it is only the element getting ready.
   */
  get paused(): boolean {
    return this.#video.paused && !this.#video.ended && (this.#held || this.progress.everMoved);
  }

  pause(): void {
    this.#held = true;
    this.#video.pause();
  }

  /** Goes on, at the live edge. */
  play(): void {
    this.#held = false;
    this.#transport?.toLiveEdge();
    // Refused without a gesture of the viewer: the page shows its play button.
    this.#video.play().catch((refusal: unknown) => {
      this.#held ||= refusal instanceof DOMException && refusal.name === 'NotAllowedError';
    });
  }

  reading(nowMs: number): Reading {
    return this.#transport?.reading(nowMs) ?? { latencyMs: null, bitsPerSecond: null };
  }

  close(): void {
    this.#state = 'closed';
    this.#transport?.close();
    this.#transport = null;
  }

  async #open(live: Live): Promise<void> {
    const url = streamUrl(this.protocol, live.urls, location.origin);
    if (url === null) {
      this.#conclude('failed');
      return;
    }
    try {
      const transport = await openTransport(this.protocol, {
        video: this.#video,
        url,
        tracks: tracksOf(live, Date.now()),
        report: { finished: () => this.#conclude('finished'), failed: () => this.#conclude('failed') },
      });
      if (this.#state === 'closed') {
        transport.close();
        return;
      }
      this.#transport = transport;
      if (!this.#held) {
        this.play();
      }
    } catch {
      this.#conclude('failed');
    }
  }

  #conclude(state: 'finished' | 'failed'): void {
    if (this.#state === 'open') {
      this.#state = state;
      this.#playsOut = this.progress.moving;
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
