/** A broadcast that can be watched now. */
export interface Live {
  readonly id: string;
  readonly interrupted: boolean;
  readonly startedAtMs: number;
  readonly viewers: number;
  readonly video: Video | null;
  readonly audio: Audio | null;
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

export interface Urls {
  readonly flv: string;
  readonly wsFlv: string;
  readonly hls: string;
}

/** Reads one room of the node's answer; null when it is not one. */
export function parseLive(json: unknown): Live | null {
  const room = fields(json);
  const urls = fields(room['urls']);
  const { id, started_at_ms: startedAtMs, viewers } = room;
  const { flv, ws_flv: wsFlv, hls } = urls;
  if (!isText(id) || !isText(flv) || !isText(wsFlv) || !isText(hls)) {
    return null;
  }
  return {
    id,
    interrupted: room['state'] === 'interrupted',
    startedAtMs: numberOr(startedAtMs, 0),
    viewers: numberOr(viewers, 0),
    video: parseVideo(room['video']),
    audio: parseAudio(room['audio']),
    urls: { flv, wsFlv, hls },
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
