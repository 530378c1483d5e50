/**
 * From a seed to latents: one seed is one image, here as on every server and device.
 *
 * Latents are those of `tf.raw_ops.StatelessRandomNormalV2(shape=[Z], key=[seed], counter=[0, 0], alg=1)`: Philox
 * 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), then Box and Muller in single precision.
 * Not for randomness that must not be guessed.
 */

export const LEAST_SEED = -(2n ** 63n);
export const MOST_SEED = 2n ** 63n - 1n;

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];

/**
 * A seed as a user writes it: a whole number of 64 bits, signed.
 *
 * @param {string | number | bigint} text
 * @returns {bigint}
 * @throws {RangeError} it is no such number.
 */
export function parseSeed(text) {
  const written = String(text).trim().replace("\u2212", "-");
  const seed = /^[+-]?\d{1,40}$/.test(written) ? BigInt(written.replace("+", "")) : null;
  if (seed === null || seed < LEAST_SEED || seed > MOST_SEED) {
    throw new RangeError(`seed: found “${written}”, expected a whole number from ${LEAST_SEED} to ${MOST_SEED}`);
  }
  return seed;
}

/**
 * Standard normal latents of a seed.
 *
 * @param {bigint | number | string} seed of 64 bits; a negative one is its bits in two's complement.
 * @param {number} size how many, Z.
 * @returns {Float32Array} of shape (Z,).
 */
export function latentsOfSeed(seed, size) {
  const bits = BigInt.asUintN(64, parseSeed(seed));
  const key = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
  const latents = new Float32Array(4 * Math.ceil(size / 4));
  for (let block = 0; 4 * block < size; block += 1) {
    const words = philox(key, block);
    latents.set([...boxMuller(words[0], words[1]), ...boxMuller(words[2], words[3])], 4 * block);
  }
  return latents.slice(0, size);
}

/**
 * The class that goes with a seed where none is chosen: the seed modulo the number of classes, never negative.
 *
 * @param {bigint | number | string} seed
 * @param {number} classes how many; without any the answer is 0.
 * @returns {number}
 */
export function classOfSeed(seed, classes) {
  const count = BigInt(Math.max(1, classes));
  return Number(((parseSeed(seed) % count) + count) % count);
}

/**
 * Ten rounds of Philox over the counter [block, 0, 0, 0].
 *
 * @param {number[]} key two words of 32 bits.
 * @param {number} block
 * @returns {number[]} four words of 32 bits.
 */
function philox(key, block) {
  let [c0, c1, c2, c3] = [block >>> 0, 0, 0, 0];
  let [k0, k1] = key;
  for (let round = 0; round < 10; round += 1) {
    const [high0, low0] = multiply(MULTIPLIERS[0], c0);
    const [high1, low1] = multiply(MULTIPLIERS[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    [k0, k1] = [(k0 + WEYL[0]) >>> 0, (k1 + WEYL[1]) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/**
 * The product of two words of 32 bits, as its high and its low word; by halves, so that no partial product passes 2^53.
 *
 * @param {number} a
 * @param {number} b
 * @returns {[number, number]}
 */
function multiply(a, b) {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const first = aHigh * bLow + ((aLow * bLow) >>> 16);
  const second = aLow * bHigh + (first & 0xffff);
  return [aHigh * bHigh + (first >>> 16) + (second >>> 16), Math.imul(a, b) >>> 0];
}

/**
 * Two words to two normal numbers, sine first, as TensorFlow has it.
 *
 * @param {number} word
 * @param {number} next
 * @returns {[number, number]}
 */
function boxMuller(word, next) {
  const f = Math.fround;
  const radius = f(Math.sqrt(f(-2 * f(Math.log(Math.max(uniform(word), f(1e-7)))))));
  const angle = f(2 * Math.PI * uniform(next));
  return [f(f(Math.sin(angle)) * radius), f(f(Math.cos(angle)) * radius)];
}

/**
 * A float in [0, 1) of the low 23 bits of a word, exact in single precision.
 *
 * @param {number} word
 */
function uniform(word) {
  return (word & 0x7fffff) / 0x800000;
}

/**
 * Truncation ψ: z ← ψ z, nearer to the average image below 1.
 *
 * @param {Float32Array} latents (Z,); unchanged.
 * @param {number} psi
 * @returns {Float32Array} (Z,).
 */
export function truncate(latents, psi) {
  return latents.map((value) => value * Math.fround(psi));
}

/**
 * Latents moved along directions: z + Σ aₖ dₖ.
 *
 * @param {Float32Array} latents (Z,); unchanged.
 * @param {readonly ArrayLike<number>[]} directions each (Z,), of unit length.
 * @param {readonly number[]} amounts one a direction; a missing one is 0.
 * @returns {Float32Array} (Z,).
 */
export function moveAlong(latents, directions, amounts) {
  const moved = latents.slice();
  directions.forEach((direction, k) => {
    const amount = amounts[k] ?? 0;
    if (amount !== 0) moved.forEach((value, i) => (moved[i] = value + amount * direction[i]));
  });
  return moved;
}

/**
 * Spherical interpolation (Shoemake, "Animating rotation with quaternion curves", 1985): halfway between two draws of a
 * normal distribution in many dimensions is again as far from the origin as a draw, which a straight line is not.
 *
 * @param {Float32Array} from (Z,).
 * @param {Float32Array} to (Z,).
 * @param {number} t 0 gives `from`, 1 gives `to`.
 * @returns {Float32Array} (Z,).
 */
export function slerp(from, to, t) {
  const cosine = dot(from, to) / Math.sqrt(dot(from, from) * dot(to, to) || 1);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const sine = Math.sin(angle);
  const straight = sine < 1e-4; // (anti)parallel: the sphere gives no way between them
  const a = straight ? 1 - t : Math.sin((1 - t) * angle) / sine;
  const b = straight ? t : Math.sin(t * angle) / sine;
  return from.map((value, i) => a * value + b * to[i]);
}

/**
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
