/** The state a test or a style sheet reads from `data-state`. */
export type State = 'loading' | 'playing' | 'waiting' | 'ended' | 'not-live' | 'denied' | 'error';

/** All that decides what the viewer is told. */
export interface Facts {
  readonly room: 'unknown' | 'live' | 'interrupted' | 'ended' | 'not-live' | 'denied' | 'expired' | 'unreachable' | 'crowded';
  readonly media: 'idle' | 'connecting' | 'moving' | 'still' | 'parked' | 'failed' | 'unsupported';
  /** What of the broadcast no way can bring to this viewer, and why, as a sentence; null where nothing is. */
  readonly obstacle: string | null;
  /** A picture of this room moved on this page before. */
  readonly everMoved: boolean;
}

/** What the viewer is told; `title` is empty while there is nothing to say. */
export interface Verdict {
  readonly state: State;
  readonly title: string;
  readonly detail: string;
}

/** Weighs the facts: a moving picture needs no words, then what the node says about the room, then the connection. */
export function judge(facts: Facts): Verdict {
  if (facts.media === 'moving') {
    return { state: 'playing', title: '', detail: '' };
  }
  switch (facts.room) {
    case 'denied':
      return { state: 'denied', title: 'This room is not open to viewers', detail: 'Ask the broadcaster for access.' };
    case 'expired':
      return { state: 'denied', title: 'This link has expired', detail: 'Ask for a new one where you got it.' };
    case 'ended':
      return ENDED;
    case 'not-live':
      return facts.everMoved ? ENDED : NOT_LIVE;
    case 'unreachable':
      return unreachable(facts.everMoved);
    case 'crowded':
      return { state: facts.everMoved ? 'waiting' : 'error', title: CROWDED, detail: 'Trying again…' };
    case 'interrupted':
      return { state: 'waiting', title: "The broadcaster's connection was interrupted. Waiting…", detail: '' };
    case 'unknown':
      return LOADING;
    case 'live':
      return connection(facts);
  }
}

/** Said wherever the node answers this network no more for a moment. */
export const CROWDED = 'Too many requests come from your network';

const LOADING: Verdict = { state: 'loading', title: 'Loading…', detail: '' };
const NOT_LIVE: Verdict = {
  state: 'not-live',
  title: 'Not live right now',
  detail: 'This page starts by itself when the broadcast does.',
};
const ENDED: Verdict = {
  state: 'ended',
  title: 'The broadcast has ended',
  detail: 'If it starts again, so does this page.',
};

function unreachable(everMoved: boolean): Verdict {
  return everMoved
    ? { state: 'waiting', title: 'Connection lost. Reconnecting…', detail: '' }
    : { state: 'error', title: 'The server cannot be reached', detail: 'Trying again…' };
}

function connection(facts: Facts): Verdict {
  if (facts.obstacle !== null) {
    return {
      state: 'error',
      title: facts.obstacle,
      detail: 'Another browser or a player such as VLC may.',
    };
  }
  switch (facts.media) {
    case 'unsupported':
      return { state: 'error', title: 'This browser cannot play the stream this way', detail: 'Try another protocol.' };
    case 'failed':
      return { state: 'error', title: 'The stream could not be played', detail: 'Trying again…' };
    case 'parked':
      return { state: 'waiting', title: 'Paused', detail: 'Play goes back to the live picture.' };
    case 'still':
      return { state: 'waiting', title: 'Buffering…', detail: '' };
    case 'idle':
    case 'connecting':
    case 'moving':
      return facts.everMoved ? { state: 'waiting', title: 'Reconnecting…', detail: '' } : LOADING;
  }
}
