import type { Place } from '../route.ts';
import { parseErrorCode, parseLive, parseRooms, type Live } from './live.ts';

/** What the node says about one room. */
export type Answer =
  | { readonly is: 'live'; readonly live: Live }
  | { readonly is: 'ended' | 'not-live' | 'denied' | 'expired' }
  /** The node could not be asked, did not answer sensibly, or has answered this network too often. */
  | { readonly is: 'unreachable' | 'crowded' };

/** Asks whether a room can be watched; never throws. */
export async function askRoom({ room, prefix }: Place): Promise<Answer> {
  const reply = await get(`${prefix}/api/v1/live/${encodeURIComponent(room)}`);
  return reply === null ? { is: 'unreachable' } : readAnswer(reply.status, reply.json);
}

/** Asks for all public live rooms, or says why there is no answer; never throws. */
export async function askRooms(): Promise<Live[] | 'unreachable' | 'crowded'> {
  const reply = await get('/api/v1/live');
  return reply?.status === 200 ? parseRooms(reply.json) : noAnswer(reply?.status);
}

/** Turns a status and a body into an answer. */
export function readAnswer(status: number, json: unknown): Answer {
  const live = status === 200 ? parseLive(json) : null;
  if (live !== null) {
    return { is: 'live', live };
  }
  if (status === 403) {
    return { is: parseErrorCode(json) === 'link_expired' ? 'expired' : 'denied' };
  }
  if (status === 404) {
    return { is: parseErrorCode(json) === 'ended' ? 'ended' : 'not-live' };
  }
  return { is: noAnswer(status) };
}

/** Too Many Requests (RFC 6585, section 4) is about the address, which many may share. */
function noAnswer(status: number | undefined): 'unreachable' | 'crowded' {
  return status === 429 ? 'crowded' : 'unreachable';
}

/** A question unanswered this long has failed; the next one follows a few seconds later anyway. */
const DEADLINE_MS = 5_000;

async function get(path: string): Promise<{ status: number; json: unknown } | null> {
  try {
    const response = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(DEADLINE_MS) });
    return { status: response.status, json: await response.json().catch(() => null) };
  } catch {
    return null;
  }
}
