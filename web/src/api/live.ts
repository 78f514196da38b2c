/** A broadcast that can be watched now. */
export interface Live {
  readonly id: string;
  readonly interrupted: boolean;
  readonly startedAtMs: number;
  readonly viewers: number;
  readonly video: Video | null;
  readonly audio: Audio | null;
  /** Path of a picture on this origin, where there is one. */
  readonly thumbnail: string | null;
  /** Paths on this origin. */
  readonly urls: Urls;
}

export interface Video {
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly frameRate: number | null;
}

export interface Audio {
  readonly codec: string;
}

/** What the node does not serve has none. */
export interface Urls {
  readonly flv: string | null;
  readonly wsFlv: string | null;
  readonly hls: string | null;
}

/** Reads one room of the node's answer; null when it is not one. */
export function parseLive(json: unknown): Live | null {
  const room = fields(json);
  const { id, started_at_ms: startedAtMs, viewers } = room;
  const urls = parseUrls(room['urls']);
  if (!isText(id) || urls === null) {
    return null;
  }
  return {
    id,
    interrupted: room['state'] === 'interrupted',
    startedAtMs: numberOr(startedAtMs, 0),
    viewers: numberOr(viewers, 0),
    video: parseVideo(room['video']),
    audio: parseAudio(room['audio']),
    thumbnail: isText(room['thumbnail']) ? room['thumbnail'] : null,
    urls,
  };
}

/** Reads `{"rooms": […]}`, leaving out what is not a room. */
export function parseRooms(json: unknown): Live[] {
  const rooms = fields(json)['rooms'];
  return Array.isArray(rooms) ? rooms.map(parseLive).filter((live) => live !== null) : [];
}

/** Reads the code of `{"error": {"code": …}}`; empty when there is none. */
export function parseErrorCode(json: unknown): string {
  const code = fields(fields(json)['error'])['code'];
  return isText(code) ? code : '';
}

function parseUrls(json: unknown): Urls | null {
  const { flv, ws_flv: wsFlv, hls } = fields(json);
  const isUrl = (url: unknown): url is string | null => url === null || isText(url);
  return isUrl(flv) && isUrl(wsFlv) && isUrl(hls) ? { flv, wsFlv, hls } : null;
}

function parseVideo(json: unknown): Video | null {
  const { codec, width, height, frame_rate: frameRate } = fields(json);
  if (!isText(codec)) {
    return null;
  }
  return {
    codec,
    width: numberOr(width, 0),
    height: numberOr(height, 0),
    frameRate: typeof frameRate === 'number' && frameRate > 0 ? frameRate : null,
  };
}

function parseAudio(json: unknown): Audio | null {
  const { codec } = fields(json);
  return isText(codec) ? { codec } : null;
}

function fields(json: unknown): Record<string, unknown> {
  return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}
