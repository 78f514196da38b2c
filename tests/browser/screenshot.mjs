// Takes a picture of a page.
//
//   node screenshot.mjs URL OUT.png [--width 1280] [--height 900] [--dark] [--wait 3000]
import { parseArgs } from 'node:util';
import { withPage } from './chromium.mjs';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '900' },
    dark: { type: 'boolean', default: false },
    /** Milliseconds to let the page settle. */
    wait: { type: 'string', default: '3000' },
  },
});
const [url, out] = positionals;
if (url === undefined || out === undefined) {
  console.error('usage: node screenshot.mjs URL OUT.png [--width N] [--height N] [--dark] [--wait MS]');
  process.exit(2);
}

const viewport = { width: Number(values.width), height: Number(values.height) };
await withPage({ viewport, colorScheme: values.dark ? 'dark' : 'light' }, async (page) => {
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  await page.waitForTimeout(Number(values.wait));
  await page.screenshot({ path: out, fullPage: true });
});
