/** Shown where a figure is not known (yet). */
export const UNKNOWN = '–';

/** `1.2 s`, from milliseconds. */
export function seconds(ms: number | null): string {
  return ms === null ? UNKNOWN : `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
}

/** `2.4 Mbit/s` or `640 kbit/s`, from bits per second. */
export function bitrate(bitsPerSecond: number | null): string {
  if (bitsPerSecond === null || bitsPerSecond <= 0) {
    return UNKNOWN;
  }
  // 999.5 kbit/s would round to "1000 kbit/s".
  return bitsPerSecond >= 999_500
    ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

/** `1280 × 720`. */
export function resolution(width: number, height: number): string {
  return width > 0 && height > 0 ? `${width} × ${height}` : UNKNOWN;
}

/** `30 fps`, or `29.97 fps` where the rate is no whole number. */
export function frameRate(framesPerSecond: number): string {
  return `${Number(framesPerSecond.toFixed(2))} fps`;
}

/** `1 watching`, `1,204 watching`. */
export function viewers(count: number): string {
  return `${whole(count)} watching`;
}

/** `1,204`: a count with its thousands set apart. */
export function whole(count: number): string {
  return Math.max(0, Math.round(count)).toLocaleString('en');
}

/** How long something has lasted: `just started`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
export function lasting(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) {
    return 'just started';
  }
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${String(minutes % 60).padStart(2, '0')} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A picture's address, which is another one every half minute: the browser keeps what it has shown until then. */
export function pictureUrl(path: string, nowMs: number): string {
  return `${path}?at=${Math.floor(nowMs / PICTURE_MS)}`;
}

const PICTURE_MS = 30_000;
