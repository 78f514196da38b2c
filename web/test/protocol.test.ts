import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterFailure, afterPicture, current, exhausted, firstPlan, type Plan } from '../src/play/plan.ts';
import { candidates, isServed, streamUrl, type Protocol } from '../src/play/protocol.ts';
import { tracksOf } from '../src/play/tracks.ts';
import { parseLive, type Urls } from '../src/api/live.ts';
import type { Choice } from '../src/route.ts';

test('the choice and the browser decide what is tried', () => {
  const both = { mediaSource: true, nativeHls: true, decodes };
  const source = { mediaSource: true, nativeHls: false, decodes };
  const native = { mediaSource: false, nativeHls: true, decodes };
  const neither = { mediaSource: false, nativeHls: false, decodes };
  const rows: [Choice, typeof both, Protocol[]][] = [
    ['auto', source, ['flv', 'ws-flv', 'hls']],
    ['auto', both, ['flv', 'ws-flv', 'hls']],
    ['auto', native, ['native-hls']],
    ['auto', neither, []],
    ['flv', both, ['flv']],
    ['flv', native, []],
    ['ws-flv', source, ['ws-flv']],
    ['hls', both, ['hls']],
    ['hls', native, ['native-hls']],
    ['hls', neither, []],
  ];
  for (const [choice, can, expected] of rows) {
    assert.deepEqual(candidates(choice, can, null), expected, `${choice} ${JSON.stringify(can)}`);
  }
});

test('what the node does not serve is not tried, and a choice of it counts as automatic', () => {
  const source = { mediaSource: true, nativeHls: false, decodes };
  const native = { mediaSource: false, nativeHls: true, decodes };
  const all = { flv: '/f', wsFlv: '/w', hls: '/h' };
  const onlyHls = { flv: null, wsFlv: null, hls: '/h' };
  const onlyFlv = { flv: '/f', wsFlv: '/w', hls: null };
  const nothing = { flv: null, wsFlv: null, hls: null };
  const rows: [Choice, typeof source, Urls, Protocol[]][] = [
    ['auto', source, all, ['flv', 'ws-flv', 'hls']],
    ['auto', source, onlyHls, ['hls']],
    ['auto', source, onlyFlv, ['flv', 'ws-flv']],
    ['flv', source, onlyHls, ['hls']],
    ['hls', source, onlyFlv, ['flv', 'ws-flv']],
    ['auto', native, onlyHls, ['native-hls']],
    ['auto', native, onlyFlv, []],
    ['auto', source, nothing, []],
  ];
  for (const [choice, can, urls, expected] of rows) {
    assert.deepEqual(candidates(choice, can, urls), expected, `${choice} ${JSON.stringify([can, urls])}`);
  }
  assert.deepEqual(
    (['auto', 'flv', 'ws-flv', 'hls'] as const).filter((choice) => isServed(choice, onlyHls)),
    ['auto', 'hls'],
  );
  assert.equal(streamUrl('flv', onlyHls, 'https://tv.example'), null);
});

test('addresses are absolute, and WebSocket follows the security of the page', () => {
  const urls = { flv: '/flv/room_a.flv', wsFlv: '/ws/room_a.flv', hls: '/hls/room_a/index.m3u8' };
  assert.equal(streamUrl('flv', urls, 'https://tv.example'), 'https://tv.example/flv/room_a.flv');
  assert.equal(streamUrl('ws-flv', urls, 'https://tv.example'), 'wss://tv.example/ws/room_a.flv');
  assert.equal(streamUrl('ws-flv', urls, 'http://tv.example:8080'), 'ws://tv.example:8080/ws/room_a.flv');
  assert.equal(streamUrl('native-hls', urls, 'http://tv.example'), 'http://tv.example/hls/room_a/index.m3u8');
});

test('a protocol without a picture is left for the next, and the round closes', () => {
  let plan = planOf(['flv', 'ws-flv', 'hls']);
  const tried: Protocol[] = [];
  for (let i = 0; i < 4; i += 1) {
    tried.push(current(plan));
    assert.equal(exhausted(plan), i >= 3, `after ${i} failures`);
    plan = afterFailure(plan, false);
  }
  assert.deepEqual(tried, ['flv', 'ws-flv', 'hls', 'flv']);
});

test('a protocol that gave a picture gets another try', () => {
  const broken = afterFailure(planOf(['flv', 'hls']), true);
  assert.equal(current(broken), 'flv');
  assert.equal(broken.failures, 1);
  assert.equal(current(afterFailure(broken, false)), 'hls');
  assert.equal(afterPicture(broken).failures, 0);
});

test('no candidate, no plan', () => {
  assert.equal(firstPlan([]), null);
});

test('an absent track is believed after a while', () => {
  const live = parseLive({ id: 'a', started_at_ms: 10_000, video: null, audio: { codec: 'mp4a.40.2' }, urls: URLS });
  assert.ok(live);
  assert.deepEqual(tracksOf(live, 12_000), {});
  assert.deepEqual(tracksOf(live, 13_000), { hasVideo: false, hasAudio: true });
  assert.deepEqual(tracksOf({ ...live, audio: null }, 99_000), {});
});

const URLS = { flv: '/f', ws_flv: '/w', hls: '/h' };

function planOf(protocols: Protocol[]): Plan {
  const plan = firstPlan(protocols);
  assert.ok(plan);
  return plan;
}

function decodes(): boolean {
  return true;
}
