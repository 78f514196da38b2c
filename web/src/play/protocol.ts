import type { Urls } from '../api/live.ts';
import type { Choice } from '../route.ts';

/** A way to carry the stream to this page. */
export type Protocol = 'flv' | 'ws-flv' | 'hls' | 'native-hls';

/** What this browser can do. */
export interface Abilities {
  /** Media Source Extensions for H.264 and AAC in MP4. */
  readonly mediaSource: boolean;
  /** HLS played by the browser itself. */
  readonly nativeHls: boolean;
}

/**
 * The protocols to try for a choice, best first. Automatic starts with FLV, the lowest latency; a plain-HTTP proxy that
 * buffers without end breaks FLV and WebSocket differently, and HLS passes through everything.
 */
export function candidates(choice: Choice, can: Abilities): Protocol[] {
  const byMediaSource: Protocol[] = choice === 'auto' ? ['flv', 'ws-flv', 'hls'] : [choice];
  const found = can.mediaSource ? byMediaSource : [];
  const mayUseHls = choice === 'auto' || choice === 'hls';
  return mayUseHls && can.nativeHls && !can.mediaSource ? ['native-hls'] : found;
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

/** The absolute address of a protocol's stream, for a page at `origin`. */
export function streamUrl(protocol: Protocol, urls: Urls, origin: string): string {
  switch (protocol) {
    case 'flv':
      return new URL(urls.flv, origin).href;
    case 'ws-flv':
      // http → ws, https → wss.
      return new URL(urls.wsFlv, origin).href.replace(/^http/, 'ws');
    case 'hls':
    case 'native-hls':
      return new URL(urls.hls, origin).href;
  }
}
