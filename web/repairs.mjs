/**
 * Two mistakes of mpegts.js 1.8.2 in reading AV1's `uncompressed_header` (AV1 §5.9.2), for which most encoders' streams
 * do not play. Each is the text as it is and as it has to be; the build fails where a later version reads otherwise.
 */
const MISTAKES = [
  // `showable_frame` is stated where the frame is not shown, not where it is.
  [',l&&o.readBool(),u=!!(3===d||0===d&&l)', ',l||o.readBool(),u=!!(3===d||0===d&&l)'],
  // `ref_order_hint` is stated in frames that are not intra frames.
  ['(_||255!==g)&&u&&r.enable_order_hint', '(!_||255!==g)&&u&&r.enable_order_hint'],
];

/** A plugin of Vite that builds mpegts.js without these mistakes. */
export function repairMpegts() {
  return {
    name: 'repair-mpegts',
    apply: 'build',
    transform(code, id) {
      if (!id.includes('/mpegts.js/dist/mpegts.js')) {
        return null;
      }
      return { code: MISTAKES.reduce(repair, code), map: null };
    },
  };
}

function repair(code, [wrong, right]) {
  if (code.split(wrong).length !== 2) {
    throw new Error(`mpegts.js does not read "${wrong}" once: see whether web/repairs.mjs is still needed`);
  }
  return code.replace(wrong, () => right);
}
