// Watches a live room by every protocol in a real browser.
//
//   node watch.mjs BASE_URL ROOM OUT_DIR
//
// Prints one line of JSON per check, leaves screenshots in OUT_DIR, and exits with 1 when a check fails.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withPage } from './chromium.mjs';
import { complaintsOf, look } from './observe.mjs';

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

const CHECKS = [
  { protocol: 'flv', size: 'desktop', viewport: DESKTOP },
  { protocol: 'flv', size: 'phone', viewport: PHONE },
  { protocol: 'ws-flv', size: 'desktop', viewport: DESKTOP },
  { protocol: 'hls', size: 'desktop', viewport: DESKTOP },
];

/** A first HLS segment may still have to be cut. */
const START_DEADLINE_MS = 20_000;
const WATCH_MS = 10_000;
const REPORT_DEADLINE_MS = 30_000;
/** Media seconds that must pass while WATCH_MS goes by. */
const ADVANCE_MIN_S = 5;

const [base, room, out] = process.argv.slice(2);
if (base === undefined || room === undefined || out === undefined) {
  console.error('usage: node watch.mjs BASE_URL ROOM OUT_DIR');
  process.exit(2);
}

await mkdir(out, { recursive: true });
let failed = 0;
for (const check of CHECKS) {
  const result = await withPage({ viewport: check.viewport }, (page) => watch(page, check)).catch((error) => ({
    problems: [String(error)],
  }));
  const { problems, ...seen } = result;
  const ok = problems.length === 0;
  console.log(JSON.stringify({ protocol: check.protocol, size: check.size, ok, ...seen, problems }));
  failed += ok ? 0 : 1;
}
process.exit(failed === 0 ? 0 : 1);

/** Opens the room by one protocol and answers with what was seen and what was wrong. */
async function watch(page, { protocol, size }) {
  const problems = await complaintsOf(page);
  const address = new URL(`/watch/${room}?protocol=${protocol}`, base).href;
  const reported = reportOf(page);
  const openedAt = Date.now();
  await page.goto(address, { waitUntil: 'domcontentloaded' });

  const playing = await page
    .waitForSelector('#player[data-state="playing"]', { timeout: START_DEADLINE_MS, state: 'attached' })
    .then(() => true, () => false);
  const playingAfterMs = Date.now() - openedAt;
  const before = await look(page);
  if (!playing) {
    problems.push(`not playing after ${START_DEADLINE_MS} ms: data-state is "${before.state}"`);
  }

  await page.waitForTimeout(playing ? WATCH_MS : 0);
  const after = await look(page);
  const advancedS = Number((after.currentTime - before.currentTime).toFixed(2));
  if (advancedS < ADVANCE_MIN_S) {
    problems.push(`currentTime advanced only ${advancedS} s in ${WATCH_MS} ms`);
  }
  if (after.state !== 'playing') {
    problems.push(`data-state became "${after.state}"`);
  }
  if (after.protocol !== protocol) {
    problems.push(`data-protocol is "${after.protocol}"`);
  }
  if (!(after.width > 0 && after.height > 0)) {
    problems.push('the video has no size');
  }
  if (after.overflowPx > 0) {
    problems.push(`the page is ${after.overflowPx} px wider than the window`);
  }
  await page.screenshot({ path: join(out, `watch-${protocol}-${size}.png`), fullPage: true });
  // It comes ten seconds after the first picture; a browser that is closed at that moment takes it along.
  if (playing && !(await reported)) {
    problems.push(`the page did not tell within ${REPORT_DEADLINE_MS} ms what its viewer sees`);
  }
  return { playingAfterMs, advancedS, ...after, problems };
}

/** Whether the page's first report has arrived. */
function reportOf(page) {
  const isReport = (request) => new URL(request.url()).pathname === '/api/v1/qoe';
  return page
    .waitForEvent('requestfinished', { predicate: isReport, timeout: REPORT_DEADLINE_MS })
    .then(() => true, () => false);
}
