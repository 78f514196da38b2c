import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '../src/play/backoff.ts';
import { chase } from '../src/play/chase.ts';
import { bufferAheadS, flvLatencyMs, hlsLatencyMs } from '../src/play/latency.ts';
import { RecentMedian } from '../src/play/median.ts';
import { Progress, type Hold } from '../src/play/progress.ts';

test('waits double up to a cap, and half of each is jitter', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 1000].map((failures) => backoffMs(failures, 1));
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  assert.equal(backoffMs(3, 0), 1000);
  assert.equal(backoffMs(0, 0), 250);
});

test('the buffer is counted in the range that plays', () => {
  const ranges = [
    { start: 0, end: 4 },
    { start: 10, end: 12.5 },
  ];
  const rows: [number, number][] = [
    [1, 3],
    [4, 0],
    [7, 0],
    [9.95, 2.55],
    [12, 0.5],
    [20, 0],
  ];
  for (const [position, ahead] of rows) {
    assert.ok(Math.abs(bufferAheadS(ranges, position) - ahead) < 1e-9, String(position));
  }
});

test('FLV latency is the buffer and the age of its newest data', () => {
  assert.equal(flvLatencyMs(11.2, 10, 40), 1240);
  assert.equal(flvLatencyMs(10, 10, 60_000), 2000);
  assert.equal(flvLatencyMs(10, 10.5, 0), 0);
});

test('HLS latency believes the wall clock only while it is credible', () => {
  const rows: [number, number | null, number | null, number | null][] = [
    [100_000, 95_500, 4000, 4500],
    [100_000, 95_500, null, 4500],
    [100_000, null, 4000, 4000],
    [100_000, 101_000, 4000, 4000],
    [100_000, 40_000, 4000, 4000],
    [100_000, null, null, null],
  ];
  for (const [now, playingAt, toEdge, expected] of rows) {
    assert.equal(hlsLatencyMs(now, playingAt, toEdge), expected);
  }
});

test('the live edge is chased gently, without flapping', () => {
  const rows: [number, number, ReturnType<typeof chase>][] = [
    [1.2, 1, { rate: 1 }],
    [1.6, 1, { rate: 1.1 }],
    [1.3, 1.1, { rate: 1.1 }],
    [1.0, 1.1, { rate: 1 }],
    [0.2, 1, { rate: 0.95 }],
    [0.5, 0.95, { rate: 0.95 }],
    [0.5, 1, { rate: 1 }],
    [0.8, 0.95, { rate: 1 }],
    [4.1, 1, { jumpToEdge: true }],
  ];
  for (const [ahead, rate, move] of rows) {
    assert.deepEqual(chase(ahead, rate), move, `${ahead} s ahead at ${rate}`);
  }
});

test('chasing from 4 s behind settles between 0.7 and 1.5 s, never faster than 1.1', () => {
  let ahead = 4;
  let rate = 1;
  for (let tick = 0; tick < 400; tick += 1) {
    const move = chase(ahead, rate);
    assert.ok('rate' in move && move.rate <= 1.1);
    rate = move.rate;
    ahead -= (rate - 1) * 0.25;
  }
  assert.ok(ahead > 0.7 && ahead < 1.5, String(ahead));
});

test('a burst does not move the median', () => {
  const median = new RecentMedian(3);
  assert.equal(median.value(), null);
  for (const sample of [90, 2, 3]) {
    median.add(sample);
  }
  assert.equal(median.value(), 3);
  median.add(4);
  assert.equal(median.value(), 3);
});

test('a stall is a picture that stopped by itself', () => {
  const progress = new Progress(0);
  const rows: [number, number, Hold, boolean, number][] = [
    // now, position, hold → moving, stalls
    [0, 0, null, false, 0],
    [5000, 0, null, false, 0],
    [5250, 0.2, null, true, 0],
    [5600, 0.2, null, true, 0],
    [5650, 0.2, null, false, 1],
    [9000, 0.2, null, false, 1],
    [9250, 0.4, null, true, 1],
    [9500, 0.4, 'paused', true, 1],
    [60_000, 0.4, 'paused', true, 1],
    [60_250, 0.6, null, true, 1],
    // A seek may take a moment; one that leads nowhere is a stall.
    [60_500, 0.6, 'seeking', true, 1],
    [63_250, 0.6, 'seeking', true, 1],
    [63_750, 0.6, 'seeking', false, 2],
    [64_000, 0.8, null, true, 2],
  ];
  for (const [now, position, hold, moving, stalls] of rows) {
    progress.observe(now, position, hold);
    assert.deepEqual([progress.moving, progress.stalls], [moving, stalls], `at ${now}`);
  }
  assert.equal(progress.sinceFirstMoveMs(60_250), 55_000);
  assert.equal(progress.stillForMs(65_000), 1000);
});
