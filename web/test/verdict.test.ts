import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, type Facts, type State } from '../src/play/verdict.ts';

test('every situation has its state and its words', () => {
  const rows: [Facts['room'], Facts['media'], boolean, State, string][] = [
    ['unknown', 'idle', false, 'loading', 'Loading…'],
    ['live', 'idle', false, 'loading', 'Loading…'],
    ['live', 'connecting', false, 'loading', 'Loading…'],
    ['live', 'moving', true, 'playing', ''],
    ['ended', 'moving', true, 'playing', ''],
    ['live', 'still', true, 'waiting', 'Buffering…'],
    ['live', 'connecting', true, 'waiting', 'Reconnecting…'],
    ['live', 'parked', true, 'waiting', 'Paused'],
    ['live', 'failed', true, 'error', 'The stream could not be played'],
    ['live', 'unsupported', false, 'error', 'This browser cannot play the stream this way'],
    ['interrupted', 'still', true, 'waiting', "The broadcaster's connection was interrupted. Waiting…"],
    ['interrupted', 'connecting', false, 'waiting', "The broadcaster's connection was interrupted. Waiting…"],
    ['ended', 'idle', true, 'ended', 'The broadcast has ended'],
    ['ended', 'idle', false, 'ended', 'The broadcast has ended'],
    ['not-live', 'idle', true, 'ended', 'The broadcast has ended'],
    ['not-live', 'idle', false, 'not-live', 'Not live right now'],
    ['not-live', 'unsupported', false, 'not-live', 'Not live right now'],
    ['denied', 'idle', false, 'denied', 'This room is not open to viewers'],
    ['expired', 'idle', false, 'denied', 'This link has expired'],
    ['expired', 'moving', true, 'playing', ''],
    ['unreachable', 'idle', false, 'error', 'The server cannot be reached'],
    ['crowded', 'idle', false, 'error', 'Too many requests come from your network'],
    ['crowded', 'still', true, 'waiting', 'Too many requests come from your network'],
    ['crowded', 'moving', true, 'playing', ''],
    ['unreachable', 'still', true, 'waiting', 'Connection lost. Reconnecting…'],
  ];
  for (const [room, media, everMoved, state, title] of rows) {
    const verdict = judge({ room, media, obstacle: null, everMoved });
    assert.deepEqual([verdict.state, verdict.title], [state, title], `${room}, ${media}, ${everMoved}`);
  }
});

test('a codec that cannot be played here is named, while the room is live', () => {
  const facts: Facts = { room: 'live', media: 'unsupported', obstacle: 'This browser cannot play HEVC video', everMoved: false };
  const { state, title, detail } = judge(facts);
  assert.deepEqual([state, title], ['error', 'This browser cannot play HEVC video']);
  assert.notEqual(detail, '');
  assert.equal(judge({ ...facts, room: 'ended' }).state, 'ended');
  assert.equal(judge({ ...facts, media: 'moving' }).state, 'playing');
});
