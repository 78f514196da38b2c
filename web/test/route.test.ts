import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoomId, parseRoute } from '../src/route.ts';

test('addresses name their page', () => {
  const rows: [string, string, ReturnType<typeof parseRoute>][] = [
    ['/', '', { page: 'rooms' }],
    ['/watch/demo', '', { page: 'watch', room: 'demo', choice: 'auto' }],
    ['/watch/demo/', '?protocol=hls', { page: 'watch', room: 'demo', choice: 'hls' }],
    ['/watch/a-B_9', '?x=1&protocol=ws-flv', { page: 'watch', room: 'a-B_9', choice: 'ws-flv' }],
    ['/watch/demo', '?protocol=flv', { page: 'watch', room: 'demo', choice: 'flv' }],
    ['/watch/demo', '?protocol=native-hls', { page: 'watch', room: 'demo', choice: 'auto' }],
    ['/watch/', '', { page: 'missing' }],
    ['/watch/a/b', '', { page: 'missing' }],
    ['/watch/%64emo', '', { page: 'missing' }],
    ['/elsewhere', '', { page: 'missing' }],
  ];
  for (const [path, query, route] of rows) {
    assert.deepEqual(parseRoute(path, query), route, path + query);
  }
});

test('room ids are 1 to 64 letters, digits, underscores and hyphens', () => {
  for (const good of ['a', 'Z', '0', '_', '-', 'x'.repeat(64)]) {
    assert.equal(parseRoomId(good), good);
  }
  assert.equal(parseRoomId('room_demo'), 'demo');
  for (const bad of ['', 'room_', 'room_room_a', 'x'.repeat(65), 'a b', 'ä', 'a.b', 'a/b', '<b>', 'a\n']) {
    assert.equal(parseRoomId(bad), null, JSON.stringify(bad));
  }
});
