import type { Protocol } from './protocol.ts';

/** Which protocol is tried next, and what went wrong so far. */
export interface Plan {
  /** Best first, at least one. */
  readonly candidates: readonly [Protocol, ...Protocol[]];
  readonly index: number;
  /** Failures since a protocol last proved to work. */
  readonly failures: number;
  /** Failures in a row that never gave a picture. */
  readonly blank: number;
}

/** A plan that starts with the best candidate; null when this browser can play none. */
export function firstPlan(candidates: readonly Protocol[]): Plan | null {
  const [first, ...rest] = candidates;
  return first === undefined ? null : { candidates: [first, ...rest], index: 0, failures: 0, blank: 0 };
}

/** The protocol to try now. */
export function current(plan: Plan): Protocol {
  return plan.candidates[plan.index] ?? plan.candidates[0];
}

/** Whether every candidate has failed in turn. */
export function exhausted(plan: Plan): boolean {
  return plan.blank >= plan.candidates.length;
}

/** The plan once the picture has moved for a while: this protocol works, so it is kept. */
export function afterPicture(plan: Plan): Plan {
  return { ...plan, failures: 0, blank: 0 };
}

/**
 * The plan after a failure. A protocol that never gave a picture is left for the next one; one that did is tried once
 * more first, for then the network or the node broke, not the protocol.
 */
export function afterFailure(plan: Plan, hadPicture: boolean): Plan {
  const failures = plan.failures + 1;
  if (hadPicture) {
    return { ...plan, failures, blank: 0 };
  }
  return { ...plan, failures, blank: plan.blank + 1, index: (plan.index + 1) % plan.candidates.length };
}
