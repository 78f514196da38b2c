import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bitrate, frameRate, lasting, pictureUrl, resolution, seconds, viewers } from '../src/format.ts';

test('figures read as a person would write them', () => {
  const rows: [string, string][] = [
    [seconds(null), '–'],
    [seconds(-5), '0.0 s'],
    [seconds(1240), '1.2 s'],
    [bitrate(null), '–'],
    [bitrate(0), '–'],
    [bitrate(640_400), '640 kbit/s'],
    [bitrate(999_499), '999 kbit/s'],
    [bitrate(999_500), '1.0 Mbit/s'],
    [bitrate(2_449_000), '2.4 Mbit/s'],
    [resolution(1280, 720), '1280 × 720'],
    [resolution(0, 720), '–'],
    [frameRate(30), '30 fps'],
    [frameRate(30_000 / 1001), '29.97 fps'],
    [viewers(0), '0 watching'],
    [viewers(1204), '1,204 watching'],
  ];
  for (const [shown, expected] of rows) {
    assert.equal(shown, expected);
  }
});

test('durations grow coarser as they grow longer', () => {
  const minute = 60_000;
  const rows: [number, string][] = [
    [-minute, 'just started'],
    [minute - 1, 'just started'],
    [minute, '1 min'],
    [59 * minute, '59 min'],
    [60 * minute, '1 h 00 min'],
    [185 * minute, '3 h 05 min'],
    [24 * 60 * minute, '1 d 0 h'],
    [52 * 60 * minute, '2 d 4 h'],
  ];
  for (const [ms, expected] of rows) {
    assert.equal(lasting(ms), expected);
  }
});

test('a picture has another address every half minute', () => {
  const at = (ms: number): string => pictureUrl('/thumbnail/room_a.jpg', ms);
  assert.equal(at(30_000), '/thumbnail/room_a.jpg?at=1');
  assert.equal(at(59_999), at(30_000));
  assert.notEqual(at(60_000), at(30_000));
});
