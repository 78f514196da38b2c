/** Whether the picture moves, judged by the position alone: browsers disagree on when to send `waiting` and `playing`. */
export class Progress {
  #position: number | null = null;
  #movedAtMs: number;
  #moving = false;
  #firstMovedAtMs: number | null = null;
  #stalls = 0;

  constructor(nowMs: number) {
    this.#movedAtMs = nowMs;
  }

  /** Looks at the position; `held` is true while the viewer pauses or a seek is under way, which are no stalls. */
  observe(nowMs: number, position: number, held: boolean): void {
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

// Several frames at 15 fps and more; shorter stops are not seen as such.
const STILL_MS = 400;
