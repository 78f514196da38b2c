// hls.js ships no types for its smaller build (no subtitles, no DRM, no alternate audio); the rest is the same.
declare module 'hls.js/light' {
  export * from 'hls.js';
  export { default } from 'hls.js';
}
