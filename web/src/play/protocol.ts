import type { Urls } from '../api/live.ts';
import type { Choice } from '../route.ts';
import type { Decodes } from './codecs.ts';

/** A way to carry the stream to this page. */
export type Protocol = 'flv' | 'ws-flv' | 'hls' | 'native-hls';

/** What this browser can do. */
export interface Abilities {
  /** Media Source Extensions for H.264 and AAC in MP4. */
  readonly mediaSource: boolean;
  /** HLS played by the browser itself. */
  readonly nativeHls: boolean;
  readonly decodes: Decodes;
}

/** Whether a choice leads to anything that the node serves; until the node has said, everything does. */
export function isServed(choice: Choice, urls: Urls | null): boolean {
  return choice === 'auto' || urls === null || pathOf(choice, urls) !== null;
}

/**
 * The protocols to try for a choice, best first; a choice that is not served counts as automatic. Automatic starts with FLV, the lowest latency; a plain-HTTP proxy that
 * buffers without end breaks FLV and WebSocket differently, and HLS passes through everything.
 */
export function candidates(choice: Choice, can: Abilities, urls: Urls | null): Protocol[] {
  const wanted = isServed(choice, urls) ? choice : 'auto';
  const byMediaSource: Protocol[] = wanted === 'auto' ? ['flv', 'ws-flv', 'hls'] : [wanted];
  const found = can.mediaSource ? byMediaSource : [];
  const mayUseHls = wanted === 'auto' || wanted === 'hls';
  const playable: Protocol[] = mayUseHls && can.nativeHls && !can.mediaSource ? ['native-hls'] : found;
  return playable.filter((protocol) => urls === null || pathOf(protocol, urls) !== null);
}

/** The name a viewer reads. */
export function protocolName(protocol: Protocol): string {
  return NAMES[protocol];
}

const NAMES: Record<Protocol, string> = {
  flv: 'FLV',
  'ws-flv': 'WebSocket',
  hls: 'HLS',
  'native-hls': 'HLS (native)',
};

/** The absolute address of a protocol's stream, for a page at `origin`; null where the node does not serve it. */
export function streamUrl(protocol: Protocol, urls: Urls, origin: string): string | null {
  const path = pathOf(protocol, urls);
  if (path === null) {
    return null;
  }
  const { href } = new URL(path, origin);
  // http → ws, https → wss.
  return protocol === 'ws-flv' ? href.replace(/^http/, 'ws') : href;
}

function pathOf(protocol: Protocol, urls: Urls): string | null {
  switch (protocol) {
    case 'flv':
      return urls.flv;
    case 'ws-flv':
      return urls.wsFlv;
    case 'hls':
    case 'native-hls':
      return urls.hls;
  }
}
