import { askRoom, type Answer } from '../api/ask.ts';
import type { Place } from '../route.ts';

/** Asks the node about a room, again and again, and quietly. */
export class RoomWatch {
  readonly #at: Place;
  readonly #onAnswer: (answer: Answer) => void;
  #timer: number | undefined;
  #asking = false;
  #askedAtMs = -Infinity;

  constructor(at: Place, onAnswer: (answer: Answer) => void) {
    this.#at = at;
    this.#onAnswer = onAnswer;
  }

  /** Asks now, unless it did so within the last second or is waiting for an answer. */
  askNow(): void {
    if (!this.#asking && performance.now() - this.#askedAtMs >= ASK_GAP_MS) {
      void this.#ask();
    }
  }

  async #ask(): Promise<void> {
    clearTimeout(this.#timer);
    this.#asking = true;
    this.#askedAtMs = performance.now();
    const answer = await askRoom(this.#at);
    this.#asking = false;
    const steady = answer.is === 'live' && !answer.live.interrupted;
    this.#timer = setTimeout(() => void this.#ask(), jittered(steady ? LIVE_MS : WAITING_MS, Math.random()));
    this.#onAnswer(answer);
  }
}

const ASK_GAP_MS = 1_000;
// While the picture moves only the number of viewers is news.
const LIVE_MS = 5_000;
// A viewer who waits for a broadcast sees it within this time of its start.
const WAITING_MS = 3_000;

/** ±20 %, so that the viewers of an ended broadcast do not ask in step. */
function jittered(ms: number, random: number): number {
  return ms * (0.8 + 0.4 * random);
}
