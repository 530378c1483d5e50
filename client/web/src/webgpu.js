/**
 * The graphics card, where it is worth it: a card is taken only if it makes the same image as the processor and, unless
 * it was requested, makes it sooner. Computed in 32 bits, since one seed is one image everywhere.
 */

import { Environment, loadAndCompile } from "@litertjs/core";
import { generate, sample } from "./model.js";

/** Where the processor takes less for an image, the card is left asleep. */
const SLOW_MILLISECONDS = 30;
/** Runs that are timed; the quickest counts, since others are of what else the machine does. */
const TRIALS = 3;
/** By how much the card has to be faster. */
const FASTER = 1.5;
/** How far pixels in [0, 1] may be apart on average: a grey level. Files with 8-bit weights compute a little otherwise. */
const APART = 1 / 255;

/**
 * @typedef {import("./model.js").SignatureRunner} SignatureRunner
 * @typedef {{signature: SignatureRunner, environment: Environment, lost: boolean}} Card
 */

// LiteRT.js would wake the card, and warn where there is none, whatever it is to run on.
const createEnvironment = Environment.create.bind(Environment);
Environment.create = async () => new Environment({ webGpuDevice: null });

/**
 * The model on the graphics card.
 *
 * @param {Uint8Array} bytes the file.
 * @param {SignatureRunner} processor the same, compiled for the processor.
 * @param {string} accelerator as of `Generator.load`.
 * @returns {Promise<Card | undefined>} undefined where the processor is to do it.
 */
export async function onCard(bytes, processor, accelerator) {
  if (accelerator === "wasm" || !("gpu" in navigator)) return undefined;
  const requested = accelerator === "webgpu";
  const job = sample(processor);
  const expected = await timed(processor, job);
  if (!requested && expected.milliseconds < SLOW_MILLISECONDS) return undefined;
  try {
    const card = await compile(bytes, requested);
    if (!card) return undefined;
    const found = await timed(card.signature, job, card.environment);
    const slow = found.milliseconds * FASTER > expected.milliseconds;
    return apart(found.values, expected.values) <= APART && (requested || !slow) ? card : undefined;
  } catch {
    return undefined; // a driver that fails, in whichever of its ways
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {boolean} requested whether a card that is only emulated will do.
 * @returns {Promise<Card | undefined>}
 */
async function compile(bytes, requested) {
  /** @type {any} the types of WebGPU are not among the compiler's own. */
  const { gpu } = navigator;
  const adapter = await gpu.requestAdapter();
  if (!adapter || (!requested && adapter.info?.isFallbackAdapter)) return undefined;
  const environment = await createEnvironment();
  if (!environment.webGpuDevice) return undefined;
  const options = { accelerator: /** @type {const} */ ("webgpu"), environment, gpuOptions: { precision: "fp32" } };
  const model = await loadAndCompile(bytes, /** @type {any} */ (options));
  if (model.options.accelerator !== "webgpu" || !model.isFullyAccelerated) return undefined;
  const card = { signature: model.signatures.generate, environment, lost: false };
  environment.webGpuDevice.lost.then(() => (card.lost = true));
  return card;
}

/**
 * An image, and how long the model takes for one once it is warm.
 *
 * @param {SignatureRunner} signature
 * @param {import("./model.js").Job} job
 * @param {Environment} [environment]
 */
async function timed(signature, job, environment) {
  let values = await generate(signature, job, environment); // the first compiles and allocates
  let milliseconds = Infinity;
  for (let i = 0; i < TRIALS; i += 1) {
    const started = performance.now();
    values = await generate(signature, job, environment);
    milliseconds = Math.min(milliseconds, performance.now() - started);
  }
  return { values, milliseconds };
}

/**
 * @param {ArrayLike<number>} found
 * @param {ArrayLike<number>} expected
 */
function apart(found, expected) {
  let sum = 0;
  for (let i = 0; i < expected.length; i += 1) sum += Math.abs(found[i] - expected[i]);
  return sum / expected.length;
}
