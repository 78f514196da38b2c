/** Why a picture may stand still without being stuck. */
export type Hold = 'paused' | 'seeking' | null;

/** Whether the picture moves, judged by the position alone: browsers disagree on when to send `waiting` and `playing`. */
export class Progress {
  #position: number | null = null;
  #movedAtMs: number;
  #moving = false;
  #firstMovedAtMs: number | null = null;
  #stalls = 0;
  #seekingSinceMs: number | null = null;

  constructor(nowMs: number) {
    this.#movedAtMs = nowMs;
  }

  /** Looks at the position; a pause is no stall, nor is a seek, unless it takes so long that it leads nowhere. */
  observe(nowMs: number, position: number, hold: Hold): void {
    this.#seekingSinceMs = hold === 'seeking' ? (this.#seekingSinceMs ?? nowMs) : null;
    const sought = this.#seekingSinceMs !== null && nowMs - this.#seekingSinceMs < SEEK_MS;
    const held = hold === 'paused' || sought;
    const moved = this.#position !== null && position > this.#position;
    this.#position = position;
    if (moved || held) {
      this.#movedAtMs = nowMs;
    }
    if (moved) {
      this.#moving = true;
      this.#firstMovedAtMs ??= nowMs;
    } else if (this.#moving && nowMs - this.#movedAtMs >= STILL_MS) {
      this.#moving = false;
      this.#stalls += 1;
    }
  }

  get moving(): boolean {
    return this.#moving;
  }

  get everMoved(): boolean {
    return this.#firstMovedAtMs !== null;
  }

  /** How often a moving picture stopped by itself. */
  get stalls(): number {
    return this.#stalls;
  }

  /** Milliseconds since the picture first moved; 0 before. */
  sinceFirstMoveMs(nowMs: number): number {
    return this.#firstMovedAtMs === null ? 0 : nowMs - this.#firstMovedAtMs;
  }

  /** Milliseconds since the picture last moved. */
  stillForMs(nowMs: number): number {
    return nowMs - this.#movedAtMs;
  }
}

// A seek within the buffer takes a fraction of this, one that has to fetch a segment about as much.
const SEEK_MS = 3_000;
// Several frames at 15 fps and more; shorter stops are not seen as such.
const STILL_MS = 400;
