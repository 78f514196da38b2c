import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksForPrivacy, Experience, type Report, type Sight } from '../src/play/experience.ts';

const PLAYING: Sight = { live: true, protocol: 'flv', moving: true, paused: false, stalls: 0, latencyMs: 1200.4 };

/** Looks each 250 ms from one time to another, both in seconds; the reports and when they came. */
function watch(experience: Experience, fromS: number, toS: number, sight: Partial<Sight> = {}): [number, Report][] {
  const reports: [number, Report][] = [];
  for (let ms = fromS * 1000; ms < toS * 1000; ms += 250) {
    const report = experience.look(ms, { ...PLAYING, ...sight });
    if (report !== null) {
      reports.push([ms / 1000, report]);
    }
  }
  return reports;
}

test('the first report comes ten seconds after the first picture, then one each minute', () => {
  const experience = new Experience();
  watch(experience, 0, 5, { live: false, protocol: null, moving: false, latencyMs: null });
  watch(experience, 5, 5.75, { moving: false, latencyMs: null });
  const reports = watch(experience, 5.75, 140);
  assert.deepEqual(reports.map(([at]) => at), [15.75, 75.75, 135.75]);
  const [[, first], [, second]] = reports as [[number, Report], [number, Report]];
  assert.deepEqual(first, { protocol: 'http-flv', first_frame_ms: 750, stalls: 0, stalled_ms: 0, watched_ms: 10_250, latency_ms: 1200 });
  assert.deepEqual(second, { protocol: 'http-flv', stalls: 0, stalled_ms: 0, watched_ms: 60_000, latency_ms: 1200 });
});

test('stalls are told once, and a pause or a room that waits is none', () => {
  const experience = new Experience();
  watch(experience, 0, 2);
  watch(experience, 2, 3, { moving: false, stalls: 1 });
  watch(experience, 3, 4, { moving: false, stalls: 1, paused: true });
  watch(experience, 4, 5, { moving: false, stalls: 1, live: false });
  const [[, report]] = watch(experience, 5, 11, { stalls: 1 }) as [[number, Report]];
  assert.equal(report.stalls, 1);
  assert.equal(report.stalled_ms, 1000);
  assert.equal(report.watched_ms, 8000);
  assert.equal(experience.take(11_000)?.stalls, 0);
});

test('a page that goes tells what is left, once, and nothing without a picture', () => {
  const experience = new Experience();
  assert.equal(experience.take(0), null);
  watch(experience, 0, 3, { moving: false });
  assert.equal(experience.take(3000), null);
  watch(experience, 3, 5);
  assert.equal(experience.take(5000)?.first_frame_ms, 3000);
  assert.equal(experience.take(5000), null);
});

test('a machine that slept has watched nothing meanwhile, and no value is larger than the node takes', () => {
  const experience = new Experience();
  watch(experience, 0, 1, { latencyMs: 1e9, stalls: 1e6 });
  const report = experience.look(3_600_000, { ...PLAYING, latencyMs: 1e9, stalls: 1e6 });
  assert.deepEqual([report?.watched_ms, report?.latency_ms, report?.stalls], [2750, 600_000, 10_000]);
});

test('browsers that ask for privacy get it', () => {
  for (const [asked, expected] of [
    [{}, false],
    [{ doNotTrack: null }, false],
    [{ doNotTrack: '0' }, false],
    [{ doNotTrack: '1' }, true],
    [{ globalPrivacyControl: true }, true],
  ] as const) {
    assert.equal(asksForPrivacy(asked), expected, JSON.stringify(asked));
  }
});
