import type { Protocol } from './protocol.ts';
import type { Tracks } from './tracks.ts';

/** One stream on its way into the video element, until it is closed. */
export interface Transport {
  /** Keeps playback near the live edge; called a few times a second while the picture should move. */
  steer(): void;
  /** Goes to the newest picture, after a pause. */
  toLiveEdge(): void;
  reading(nowMs: number): Reading;
  /** Frees the video element and the connection. */
  close(): void;
}

/** What only the transport can measure. */
export interface Reading {
  readonly latencyMs: number | null;
  readonly bitsPerSecond: number | null;
}

/** What a transport needs to start. */
export interface Opening {
  readonly video: HTMLVideoElement;
  readonly url: string;
  readonly tracks: Tracks;
  readonly report: Report;
}

/** How a transport says that it is over; each at most matters once. */
export interface Report {
  /** The server finished the stream in good order; what is buffered may still play. */
  finished(): void;
  failed(): void;
}

/** Opens a protocol, loading its player only now. */
export async function openTransport(protocol: Protocol, opening: Opening): Promise<Transport> {
  switch (protocol) {
    case 'flv':
    case 'ws-flv':
      return (await import('./flv.ts')).openFlv(opening);
    case 'hls':
      return (await import('./hls.ts')).openHls(opening);
    case 'native-hls':
      return (await import('./native-hls.ts')).openNativeHls(opening);
  }
}
