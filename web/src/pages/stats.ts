import * as format from '../format.ts';
import { protocolName } from '../play/protocol.ts';
import type { Snapshot } from '../play/session.ts';
import { must, say } from './parts.ts';

/** Fills the strip of figures below the picture. */
export function showStats(player: HTMLElement, video: HTMLVideoElement, snapshot: Snapshot): void {
  const { protocol } = snapshot;
  const figures: Record<string, string> = {
    latency: format.seconds(snapshot.latencyMs),
    bitrate: format.bitrate(snapshot.bitsPerSecond),
    resolution: format.resolution(video.videoWidth, video.videoHeight),
    buffer: protocol === null ? format.UNKNOWN : format.seconds(snapshot.bufferMs),
    stalls: format.whole(snapshot.stalls),
    dropped: format.whole(snapshot.droppedFrames),
    protocol: protocol === null ? format.UNKNOWN : protocolName(protocol),
  };
  for (const [name, text] of Object.entries(figures)) {
    say(must(player.querySelector(`[data-stat="${name}"]`), name), text);
  }
}
