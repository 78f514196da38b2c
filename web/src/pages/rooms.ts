import { askRooms } from '../api/ask.ts';
import type { Live } from '../api/live.ts';
import { CROWDED } from '../play/verdict.ts';
import { factsOf, sayBadge, sayFacts } from './facts.ts';
import { copy, mark, page, part, say } from './parts.ts';
import { showPicture } from './picture.ts';

/** The list of public live rooms, kept fresh. */
export function showRooms(): void {
  const place = page('rooms-page');
  say(part(place, 'publish-url', HTMLElement), `rtmp://${location.hostname}/live`);
  const refresh = async (): Promise<void> => {
    if (!document.hidden) {
      show(place, await askRooms());
    }
    setTimeout(() => void refresh(), REFRESH_MS);
  };
  void refresh();
}

const REFRESH_MS = 5_000;

function show(place: HTMLElement, rooms: Awaited<ReturnType<typeof askRooms>>): void {
  const notice = part(place, 'notice', HTMLElement);
  const isAnswer = Array.isArray(rooms);
  say(notice, isAnswer ? '' : `${rooms === 'crowded' ? CROWDED : 'The server cannot be reached'}. Trying again…`);
  notice.hidden = isAnswer;
  if (isAnswer) {
    part(place, 'empty', HTMLElement).hidden = rooms.length > 0;
    showCards(part(place, 'list', HTMLUListElement), rooms);
  }
}

/** Changes cards in place, so that a refresh takes no focus away and nothing flickers. */
function showCards(list: HTMLUListElement, rooms: Live[]): void {
  const cards = new Map(Array.from(list.children, (card) => [card.getAttribute('data-room'), card]));
  const wanted = rooms.map((live) => {
    const card = cards.get(live.id) ?? newCard(live.id);
    fill(card, live);
    return card;
  });
  const unchanged = wanted.length === list.children.length && wanted.every((card, i) => card === list.children[i]);
  if (!unchanged) {
    list.replaceChildren(...wanted);
  }
}

function newCard(room: string): Element {
  const card = part(copy('room-card'), 'link', HTMLAnchorElement).parentElement;
  if (card === null) {
    throw new Error('a card has no list item');
  }
  mark(card, 'data-room', room);
  part(card, 'link', HTMLAnchorElement).href = `/watch/${encodeURIComponent(room)}`;
  say(part(card, 'name', HTMLElement), room);
  return card;
}

function fill(card: Element, live: Live): void {
  showPicture(part(card, 'picture', HTMLElement), live.thumbnail, Date.now());
  sayBadge(part(card, 'badge', HTMLElement), live);
  sayFacts(part(card, 'facts', HTMLElement), factsOf(live, Date.now()));
}
