import { reportExperience } from '../api/report.ts';
import { abilitiesOf } from '../play/abilities.ts';
import type { Sight } from '../play/experience.ts';
import { isServed } from '../play/protocol.ts';
import { Session, type Snapshot } from '../play/session.ts';
import { parseChoice, type Choice, type Place } from '../route.ts';
import { wireChoices } from './choices.ts';
import { wireControls } from './controls.ts';
import { factsOf, sayBadge, sayFacts } from './facts.ts';
import { wireKeys } from './keys.ts';
import { mark, must, page, part, say } from './parts.ts';
import { showStats } from './stats.ts';

/** The page of one room. */
export function showWatch(at: Place, choice: Choice): void {
  const place = page('watch-page');
  const player = must(place.querySelector<HTMLElement>('#player'), 'player');
  const video = must(place.querySelector('video'), 'video');
  // The attribute of a copied template is only the default for a later reset; autoplay needs the property.
  video.muted = true;
  document.title = `${at.room} · Isocast`;
  say(part(player, 'room', HTMLElement), at.room);

  const report = reportExperience();
  const session = new Session(video, at, choice, abilitiesOf(video), (snapshot) => {
    show(player, video, snapshot);
    report(sightOf(snapshot));
  });
  const choices = wireChoices(player, (chosen) => session.choose(chosen));
  const controls = wireControls(player, video, () => session.togglePlay());
  wireKeys(controls, choices);
  session.start();
}

function sightOf({ live, protocol, paused, stalls, latencyMs, verdict }: Snapshot): Sight {
  const isLive = live !== null && !live.interrupted;
  return { live: isLive, protocol, moving: verdict.state === 'playing', paused, stalls, latencyMs };
}

function show(player: HTMLElement, video: HTMLVideoElement, snapshot: Snapshot): void {
  mark(player, 'data-state', snapshot.verdict.state);
  mark(player, 'data-protocol', snapshot.protocol ?? '');
  mark(player, 'data-stalls', String(snapshot.stalls));
  mark(player, 'data-latency-ms', snapshot.latencyMs === null ? '' : String(snapshot.latencyMs));
  mark(player, 'data-paused', String(snapshot.paused));
  mark(player, 'data-audio-only', String(isAudioOnly(snapshot)));
  showVerdict(player, snapshot);
  showRoom(player, snapshot);
  showStats(player, video, snapshot);
  for (const button of player.querySelectorAll<HTMLElement>('[data-choose]')) {
    const choice = parseChoice(button.getAttribute('data-choose'));
    button.hidden = !isServed(choice, snapshot.live?.urls ?? null);
    mark(button, 'aria-pressed', String(choice === snapshot.choice));
  }
}

function isAudioOnly({ live }: Snapshot): boolean {
  return live !== null && live.video === null && live.audio !== null;
}

function showVerdict(player: HTMLElement, snapshot: Snapshot): void {
  const { state, title, detail } = snapshot.verdict;
  const shown = state === 'playing' && isAudioOnly(snapshot) ? 'Audio only' : title;
  say(part(player, 'title', HTMLElement), shown);
  say(part(player, 'detail', HTMLElement), detail);
  part(player, 'message', HTMLElement).hidden = shown === '';
  say(part(player, 'spoken', HTMLElement), state === 'playing' ? 'Playing' : `${title} ${detail}`.trim());
}

function showRoom(player: HTMLElement, { live }: Snapshot): void {
  sayFacts(part(player, 'facts', HTMLElement), live === null ? [] : factsOf(live, Date.now()));
  for (const badge of player.querySelectorAll<HTMLElement>('.badge')) {
    badge.hidden = live === null;
    if (live !== null) {
      sayBadge(badge, live);
    }
  }
}
