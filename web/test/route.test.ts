import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoomId, parseRoute } from '../src/route.ts';

test('addresses name their page', () => {
  const rows: [string, string, ReturnType<typeof parseRoute>][] = [
    ['/', '', { page: 'rooms' }],
    ['/watch/demo', '', { page: 'watch', at: { room: 'demo', prefix: '' }, choice: 'auto' }],
    ['/watch/demo/', '?protocol=hls', { page: 'watch', at: { room: 'demo', prefix: '' }, choice: 'hls' }],
    ['/watch/a-B_9', '?x=1&protocol=ws-flv', { page: 'watch', at: { room: 'a-B_9', prefix: '' }, choice: 'ws-flv' }],
    ['/watch/demo', '?protocol=flv', { page: 'watch', at: { room: 'demo', prefix: '' }, choice: 'flv' }],
    ['/watch/demo', '?protocol=native-hls', { page: 'watch', at: { room: 'demo', prefix: '' }, choice: 'auto' }],
    ['/v/1800000000.a_B-9/watch/demo', '?protocol=hls', { page: 'watch', at: { room: 'demo', prefix: '/v/1800000000.a_B-9' }, choice: 'hls' }],
    ['/v/1.a/watch/room_demo/', '', { page: 'watch', at: { room: 'demo', prefix: '/v/1.a' }, choice: 'auto' }],
    ['/v//watch/demo', '', { page: 'missing' }],
    ['/v/a/b/watch/demo', '', { page: 'missing' }],
    ['/v/a?b/watch/demo', '', { page: 'missing' }],
    ['/x/v/1.a/watch/demo', '', { page: 'missing' }],
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
