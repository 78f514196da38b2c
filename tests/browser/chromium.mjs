import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** The system's own Chromium, for Playwright's build has no H.264 and AAC. */
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Runs `visit(page)` in a fresh headless browser with a profile of its own, and takes both away afterwards. */
export async function withPage({ viewport, colorScheme = 'light' }, visit) {
  const profile = await mkdtemp(join(tmpdir(), 'isocast-browser-'));
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: EXECUTABLE,
      args: ARGS,
      viewport,
      colorScheme,
    });
    try {
      return await visit(context.pages()[0] ?? (await context.newPage()));
    } finally {
      await context.close();
    }
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}
