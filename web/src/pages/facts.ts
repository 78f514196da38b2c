import type { Live } from '../api/live.ts';
import * as format from '../format.ts';
import { say } from './parts.ts';

/** What a viewer wants to know of a broadcast: picture, viewers, how long it has been live. */
export function factsOf(live: Live, nowMs: number): string[] {
  const facts = [picture(live), format.viewers(live.viewers), lasting(live, nowMs)];
  return facts.filter((fact) => fact !== '');
}

/** Shows facts beside each other; a line breaks between two of them, never within one. */
export function sayFacts(element: Element, facts: readonly string[]): void {
  while (element.children.length > facts.length) {
    element.lastElementChild?.remove();
  }
  facts.forEach((fact, i) => say(element.children[i] ?? element.appendChild(document.createElement('span')), fact));
}

/** Shows whether a broadcast is live or interrupted. */
export function sayBadge(badge: Element, live: Live): void {
  say(badge, live.interrupted ? 'Interrupted' : 'Live');
  badge.classList.toggle('quiet', live.interrupted);
}

function picture(live: Live): string {
  if (live.video === null) {
    return live.audio === null ? '' : 'Audio only';
  }
  const { width, height, frameRate } = live.video;
  const size = width > 0 && height > 0 ? format.resolution(width, height) : '';
  const rate = frameRate === null ? '' : format.frameRate(frameRate);
  return [size, rate].filter((text) => text !== '').join(', ');
}

function lasting(live: Live, nowMs: number): string {
  return live.startedAtMs > 0 ? format.lasting(nowMs - live.startedAtMs) : '';
}
