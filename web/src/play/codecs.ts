import type { Live } from '../api/live.ts';
import type { Protocol } from './protocol.ts';

/** Whether this browser's Media Source Extensions take a type such as `video/mp4; codecs="av01.0.05M.08"`. */
export type Decodes = (type: string) => boolean;

/** Codecs of one name, told by what their RFC 6381 strings begin with. */
interface Family {
  readonly prefix: string;
  readonly name: string;
  /** By which protocols the players of this page unpack it: mpegts.js for FLV, the light build of hls.js for HLS. */
  readonly protocols: readonly Protocol[];
  /** Where its type is not that of a codec in MP4. */
  readonly type?: string;
}

const FLV: readonly Protocol[] = ['flv', 'ws-flv'];
const FLV_AND_HLS: readonly Protocol[] = [...FLV, 'hls'];

/** The first that fits counts. */
const FAMILIES: readonly Family[] = [
  { prefix: 'avc1.', name: 'H.264', protocols: FLV_AND_HLS },
  { prefix: 'hvc1.', name: 'HEVC', protocols: FLV },
  { prefix: 'av01.', name: 'AV1', protocols: FLV },
  { prefix: 'vp09.', name: 'VP9', protocols: [] },
  { prefix: 'mp4a.40.34', name: 'MP3', protocols: FLV_AND_HLS, type: 'audio/mpeg' },
  { prefix: 'mp4a.', name: 'AAC', protocols: FLV_AND_HLS },
  { prefix: 'opus', name: 'Opus', protocols: FLV },
  { prefix: 'flac', name: 'FLAC', protocols: [] },
  { prefix: 'ac-3', name: 'AC-3', protocols: [] },
  { prefix: 'ec-3', name: 'E-AC-3', protocols: [] },
];

/** The protocols by which this page and this browser can play all tracks of a broadcast. */
export function playable(protocols: readonly Protocol[], live: Live, decodes: Decodes): Protocol[] {
  return protocols.filter((protocol) => obstacle(protocol, live, decodes) === null);
}

/** What keeps a broadcast from being played by a protocol, as a sentence; null where nothing does. */
export function obstacle(protocol: Protocol, live: Live, decodes: Decodes): string | null {
  // What a browser plays by itself only it knows.
  if (protocol === 'native-hls') {
    return null;
  }
  const { video, audio } = live;
  return (
    (video === null ? null : obstacleTo(protocol, 'video', video.codec, decodes)) ??
    (audio === null ? null : obstacleTo(protocol, 'audio', audio.codec, decodes))
  );
}

function obstacleTo(protocol: Protocol, kind: 'video' | 'audio', codec: string, decodes: Decodes): string | null {
  const family = familyOf(codec);
  const what = `${nameOf(codec)} ${kind === 'video' ? 'video' : 'sound'}`;
  if (family === undefined || !family.protocols.includes(protocol)) {
    return `This page cannot play ${what}`;
  }
  return decodes(family.type ?? `${kind}/mp4; codecs="${codec}"`) ? null : `This browser cannot play ${what}`;
}

function nameOf(codec: string): string {
  return familyOf(codec)?.name ?? codec;
}

function familyOf(codec: string): Family | undefined {
  return FAMILIES.find(({ prefix }) => codec.startsWith(prefix));
}
