/** The median of the last few samples: a burst, such as the first group of pictures, does not move it. */
export class RecentMedian {
  readonly #samples: number[] = [];
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  add(sample: number): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.#size) {
      this.#samples.shift();
    }
  }

  /** Null before the first sample. */
  value(): number | null {
    const sorted = [...this.#samples].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
  }
}
