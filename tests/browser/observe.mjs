/** What Chromium says of every page with this header that comes over HTTP from another machine. */
const NEEDS_HTTPS = 'The Cross-Origin-Opener-Policy header has been ignored';

/** Collects console errors, uncaught exceptions and violations of the Content-Security-Policy, as they come. */
export async function complaintsOf(page) {
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith(NEEDS_HTTPS)) {
      problems.push(`console: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  await page.exposeFunction('reportViolation', (text) => problems.push(`CSP: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      window.reportViolation(`${violatedDirective} blocked ${blockedURI}`);
    });
  });
  return problems;
}

/** What the page shows of a room now. */
export function look(page) {
  return page.evaluate(() => {
    const { state, protocol, stalls, latencyMs } = document.querySelector('#player').dataset;
    const video = document.querySelector('#video');
    return {
      state,
      protocol,
      stalls: Number(stalls),
      latencyMs: latencyMs === '' ? null : Number(latencyMs),
      currentTime: Number(video.currentTime.toFixed(2)),
      width: video.videoWidth,
      height: video.videoHeight,
      title: document.querySelector('#player [data-part="title"]')?.textContent ?? '',
      overflowPx: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    };
  });
}
