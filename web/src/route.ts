/** What an address of this page asks for. */
export type Route =
  | { readonly page: 'rooms' }
  | { readonly page: 'watch'; readonly at: Place; readonly choice: Choice }
  | { readonly page: 'missing' };

/** A room, and what stands before all its addresses: `/v/<exp>.<sig>` where they are signed, else nothing. */
export interface Place {
  readonly room: string;
  readonly prefix: string;
}

/** What a viewer can ask for: a protocol by name, or the best one that works. */
export type Choice = 'auto' | 'flv' | 'ws-flv' | 'hls';

/** Every choice, in the order of its buttons and of the keys 1 to 4. */
export const CHOICES: readonly Choice[] = ['auto', 'flv', 'ws-flv', 'hls'];

/** Reads a path and a query such as `/watch/demo` and `?protocol=hls`. */
export function parseRoute(path: string, query: string): Route {
  if (path === '/') {
    return { page: 'rooms' };
  }
  const [, prefix = '', name = ''] = /^(\/v\/[\w.-]+)?\/watch\/([^/]*)\/?$/.exec(path) ?? [];
  const room = parseRoomId(name);
  if (room === null) {
    return { page: 'missing' };
  }
  return { page: 'watch', at: { room, prefix }, choice: parseChoice(new URLSearchParams(query).get('protocol')) };
}

/** A room's id as the node accepts it, or null. The stream's name, `room_<id>`, names the same room, as in play addresses. */
export function parseRoomId(text: string): string | null {
  const id = text.startsWith('room_') ? text.slice('room_'.length) : text;
  return /^(?!room_)[A-Za-z0-9_-]{1,64}$/.test(id) ? id : null;
}

/** A choice by its name; anything else is `auto`. */
export function parseChoice(text: string | null): Choice {
  return CHOICES.find((choice) => choice === text) ?? 'auto';
}
