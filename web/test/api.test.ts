import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAnswer } from '../src/api/ask.ts';
import { parseLive, parseRooms } from '../src/api/live.ts';

const DEMO = {
  id: 'demo',
  state: 'live',
  started_at_ms: 1_730_000_000_000,
  viewers: 3,
  video: { codec: 'avc1.64001f', width: 1280, height: 720, frame_rate: 30 },
  audio: { codec: 'mp4a.40.2', sample_rate_hz: 44_100, channels: 2 },
  thumbnail: '/thumbnail/room_demo.jpg',
  urls: { flv: '/flv/room_demo.flv', ws_flv: '/ws/room_demo.flv', hls: '/hls/room_demo/index.m3u8' },
};

test('a room is read in full', () => {
  assert.deepEqual(parseLive(DEMO), {
    id: 'demo',
    interrupted: false,
    startedAtMs: 1_730_000_000_000,
    viewers: 3,
    video: { codec: 'avc1.64001f', width: 1280, height: 720, frameRate: 30 },
    audio: { codec: 'mp4a.40.2' },
    thumbnail: '/thumbnail/room_demo.jpg',
    urls: { flv: '/flv/room_demo.flv', wsFlv: '/ws/room_demo.flv', hls: '/hls/room_demo/index.m3u8' },
  });
});

test('what may be missing may be missing', () => {
  const live = parseLive({ ...DEMO, state: 'interrupted', video: null, audio: null, viewers: 'many' });
  assert.deepEqual([live?.interrupted, live?.video, live?.audio, live?.viewers], [true, null, null, 0]);
  assert.equal(parseLive({ ...DEMO, video: { ...DEMO.video, frame_rate: null } })?.video?.frameRate, null);
});

test('what is no room is none', () => {
  const off = parseLive({ ...DEMO, urls: { flv: null, ws_flv: null, hls: '/hls' } });
  assert.deepEqual(off?.urls, { flv: null, wsFlv: null, hls: '/hls' });
  for (const json of [null, 7, 'demo', [], {}, { ...DEMO, id: 7 }, { ...DEMO, urls: { flv: '/flv' } }]) {
    assert.equal(parseLive(json), null, JSON.stringify(json));
  }
  assert.deepEqual(parseRooms({ rooms: [DEMO, null, {}] }).map(({ id }) => id), ['demo']);
  assert.deepEqual(parseRooms({ rooms: 'none' }), []);
});

test('a status and a code say what a room is', () => {
  const error = (code: string): unknown => ({ error: { code, message: '' } });
  const rows: [number, unknown, string][] = [
    [200, DEMO, 'live'],
    [200, {}, 'unreachable'],
    [404, error('not_live'), 'not-live'],
    [404, error('ended'), 'ended'],
    [404, null, 'not-live'],
    [403, error('playback_denied'), 'denied'],
    [403, error('link_expired'), 'expired'],
    [429, error('too_many'), 'crowded'],
    [503, null, 'unreachable'],
  ];
  for (const [status, json, is] of rows) {
    assert.equal(readAnswer(status, json).is, is, String(status));
  }
});
