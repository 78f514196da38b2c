// Opens rooms with codecs of all kinds in a real browser: what it can decode plays, of the rest the page says so.
//
//   node codecs.mjs BASE_URL OUT_DIR ROOM=playing ROOM="a title"…
//
// Prints one line of JSON per room, leaves screenshots in OUT_DIR, and exits with 1 when a check fails.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withPage } from './chromium.mjs';
import { complaintsOf, look } from './observe.mjs';

const VIEWPORT = { width: 1280, height: 900 };
const DEADLINE_MS = 20_000;
const WATCH_MS = 5_000;
/** Media seconds that must pass while WATCH_MS goes by. */
const ADVANCE_MIN_S = 2.5;

const [base, out, ...rooms] = process.argv.slice(2);
if (base === undefined || out === undefined || rooms.length === 0) {
  console.error('usage: node codecs.mjs BASE_URL OUT_DIR ROOM=EXPECTED…');
  process.exit(2);
}

await mkdir(out, { recursive: true });
let failed = 0;
for (const [room, expected] of rooms.map((argument) => argument.split('='))) {
  const visit = (page) => (expected === 'playing' ? plays(page, room) : says(page, room, expected));
  const result = await withPage({ viewport: VIEWPORT }, visit).catch((error) => ({ problems: [String(error)] }));
  const { problems, ...seen } = result;
  console.log(JSON.stringify({ room, expected, ok: problems.length === 0, ...seen, problems }));
  failed += problems.length === 0 ? 0 : 1;
}
process.exit(failed === 0 ? 0 : 1);

async function plays(page, room) {
  const problems = await open(page, room, 'playing');
  const before = await look(page);
  await page.waitForTimeout(WATCH_MS);
  const after = await look(page);
  const advancedS = Number((after.currentTime - before.currentTime).toFixed(2));
  if (advancedS < ADVANCE_MIN_S) {
    problems.push(`currentTime advanced only ${advancedS} s in ${WATCH_MS} ms`);
  }
  if (!(after.width > 0 && after.height > 0)) {
    problems.push('the video has no size');
  }
  await page.screenshot({ path: join(out, `codec-${room}.png`), fullPage: true });
  return { advancedS, ...after, problems };
}

async function says(page, room, title) {
  const problems = await open(page, room, 'error');
  const seen = await look(page);
  if (seen.title !== title) {
    problems.push(`the stage says "${seen.title}"`);
  }
  if (seen.protocol !== '') {
    problems.push(`it still tries ${seen.protocol}`);
  }
  await page.screenshot({ path: join(out, `codec-${room}.png`), fullPage: true });
  return { ...seen, problems };
}

/** Opens a room and waits for a state; answers with what is wrong. */
async function open(page, room, state) {
  const problems = await complaintsOf(page);
  await page.goto(new URL(`/watch/${room}`, base).href, { waitUntil: 'domcontentloaded' });
  const selector = `#player[data-state="${state}"]`;
  await page.waitForSelector(selector, { timeout: DEADLINE_MS, state: 'attached' }).catch(async () => {
    problems.push(`not ${state} after ${DEADLINE_MS} ms: data-state is "${(await look(page)).state}"`);
  });
  return problems;
}
