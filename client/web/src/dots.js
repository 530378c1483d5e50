/** Dots of colour that say how a picture is to become: the input `hints` of a model, as training made them. */

/** A dot is 3×3 pixels of the model. */
export const RADIUS = 1;

/**
 * @typedef {{x: number, y: number, colour: string}} Dot whole pixels of the model's input, and `#rrggbb`.
 */

/**
 * The input of a model; where dots overlap, the last one stands.
 *
 * @param {Dot[]} dots
 * @param {{width: number, height: number}} size
 * @returns {Float32Array} (height × width × 4): red, green, blue and a mask, in [0, 1]; all 0 where there is no dot.
 * @throws {RangeError} a colour is none.
 */
export function hintsOf(dots, { width, height }) {
  const hints = new Float32Array(4 * width * height);
  for (const { x, y, colour } of dots) {
    const values = [...rgb(colour), 1];
    for (let v = Math.max(0, y - RADIUS); v <= Math.min(height - 1, y + RADIUS); v += 1) {
      for (let u = Math.max(0, x - RADIUS); u <= Math.min(width - 1, x + RADIUS); u += 1) {
        hints.set(values, 4 * (v * width + u));
      }
    }
  }
  return hints;
}

/** @param {string} colour */
function rgb(colour) {
  const digits = /^#([0-9a-f]{6})$/i.exec(colour);
  if (!digits) throw new RangeError(`colour: found “${colour}”, expected #rrggbb`);
  return [0, 2, 4].map((at) => parseInt(digits[1].slice(at, at + 2), 16) / 255);
}
