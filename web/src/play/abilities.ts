import type { Abilities } from './protocol.ts';

/** Asks this browser what it can play. */
export function abilitiesOf(video: HTMLVideoElement): Abilities {
  const sources = window as { MediaSource?: typeof MediaSource; ManagedMediaSource?: typeof MediaSource };
  const source = sources.ManagedMediaSource ?? sources.MediaSource;
  return {
    mediaSource: source?.isTypeSupported('video/mp4; codecs="avc1.42E01E,mp4a.40.2"') ?? false,
    decodes: (type) => source?.isTypeSupported(type) ?? false,
    nativeHls: video.canPlayType('application/vnd.apple.mpegurl') !== '',
  };
}
