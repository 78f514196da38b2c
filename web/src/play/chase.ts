/** What to do about the distance to the live edge. */
export type Move = { readonly rate: number } | { readonly jumpToEdge: true };

/** Where a jump lands, in seconds behind the newest data. */
export const LANDING_S = 1.0;

// A viewer may be this far behind before playback speeds up, and catches up to here: about 1 to 1.5 s.
const LATE_S = 1.5;
const CAUGHT_UP_S = 1.1;
// Beyond this, catching up at 1.1 would take half a minute.
const FAR_S = 4;
// So little buffered that the next hiccup of the network would be a stall.
const THIN_S = 0.35;
const REFILLED_S = 0.7;

const FASTER = 1.1;
const SLOWER = 0.95;

/** Decides from the seconds buffered ahead and the present rate; the rates have hysteresis, so that they do not flap. */
export function chase(aheadS: number, rate: number): Move {
  if (aheadS > FAR_S) {
    return { jumpToEdge: true };
  }
  if (aheadS > LATE_S || (rate > 1 && aheadS > CAUGHT_UP_S)) {
    return { rate: FASTER };
  }
  if (aheadS < THIN_S || (rate < 1 && aheadS < REFILLED_S)) {
    return { rate: SLOWER };
  }
  return { rate: 1 };
}
