import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLive, type Live } from '../src/api/live.ts';
import { obstacle, playable } from '../src/play/codecs.ts';
import type { Protocol } from '../src/play/protocol.ts';

const ALL: Protocol[] = ['flv', 'ws-flv', 'hls'];
const FLV: Protocol[] = ['flv', 'ws-flv'];

test('a protocol is tried only where its player unpacks every codec', () => {
  const rows: [string | null, string | null, Protocol[]][] = [
    ['avc1.64001E', 'mp4a.40.2', ALL],
    ['avc1.64001E', 'mp4a.40.34', ALL],
    ['avc1.64001E', null, ALL],
    [null, 'mp4a.40.2', ALL],
    [null, null, ALL],
    ['hvc1.1.6.L93.90', 'mp4a.40.2', FLV],
    ['av01.0.05M.08', 'mp4a.40.2', FLV],
    ['av01.0.05M.08', 'opus', FLV],
    ['avc1.64001E', 'opus', FLV],
    ['vp09.00.21.08', 'mp4a.40.2', []],
    ['avc1.64001E', 'flac', []],
    ['avc1.64001E', 'ac-3', []],
    ['avc1.64001E', 'ec-3', []],
    ['vvc1.1.L51', null, []],
  ];
  for (const [video, audio, expected] of rows) {
    const found = playable(ALL, broadcast(video, audio), () => true);
    assert.deepEqual(found, expected, `${video} ${audio}`);
  }
  const byItself = playable(['native-hls'], broadcast('hvc1.1.6.L93.90', 'ac-3'), () => false);
  assert.deepEqual(byItself, ['native-hls'], 'the browser knows best');
});

test('a codec that the browser does not decode is named', () => {
  const withoutHevc = (type: string) => !type.includes('hvc1');
  const live = broadcast('hvc1.1.6.L93.90', 'mp4a.40.2');
  assert.equal(obstacle('flv', live, withoutHevc), 'This browser cannot play HEVC video');
  assert.deepEqual(playable(ALL, live, withoutHevc), []);
  assert.equal(obstacle('flv', broadcast('avc1.64001E', 'ac-3'), () => true), 'This page cannot play AC-3 sound');
  assert.equal(obstacle('flv', broadcast('vvc1.1.L51', null), () => true), 'This page cannot play vvc1.1.L51 video');
});

test('the browser is asked by the type that it knows', () => {
  const asked: string[] = [];
  const decodes = (type: string) => asked.push(type) > 0;
  assert.equal(obstacle('flv', broadcast('av01.0.05M.08', 'mp4a.40.34'), decodes), null);
  assert.deepEqual(asked, ['video/mp4; codecs="av01.0.05M.08"', 'audio/mpeg']);
});

function broadcast(video: string | null, audio: string | null): Live {
  const live = parseLive({
    id: 'a',
    video: video === null ? null : { codec: video, width: null, height: null, frame_rate: null },
    audio: audio === null ? null : { codec: audio },
    urls: { flv: '/f', ws_flv: '/w', hls: '/h' },
  });
  assert.ok(live);
  return live;
}
