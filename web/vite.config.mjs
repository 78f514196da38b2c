import { defineConfig } from 'vite';
import { repairMpegts } from './repairs.mjs';

// The node serves the page under `default-src 'self'`: nothing may be inlined, neither as `data:` nor as a script.
export default defineConfig({
  base: '/',
  plugins: [repairMpegts()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Each player library is one chunk of its own, loaded only when its protocol is used; the largest is ~350 kB.
    chunkSizeWarningLimit: 600,
  },
});
