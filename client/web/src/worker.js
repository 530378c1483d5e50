/**
 * The thread that owns LiteRT: it loads the runtime and one TFLite file, then makes an image or a clip a message. Only generator.js
 * talks to it. Built into `genline-worker.js`, a classic script, since LiteRT.js loads its own by importScripts.
 */

import { loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";
import { fetchBytes, gunzip, hexDigest } from "./fetching.js";
import { describe, describeDetector, generate, results } from "./model.js";
import { onCard } from "./webgpu.js";

/**
 * @typedef {import("./generator.js").ModelFile} ModelFile
 * @typedef {import("./model.js").Job} Job
 * @typedef {import("./model.js").SignatureRunner} SignatureRunner
 */

/** @type {{signature: SignatureRunner, channels: number} | undefined} on the processor. */
let generator;
/** @type {SignatureRunner | undefined} of a detector, in the place of a generator. */
let detector;
/** @type {import("./webgpu.js").Card | undefined} the same on the graphics card, where that is to be used. */
let card;
/** @type {string[]} the last words of the runtime, which say more than its exceptions */
const complaints = [];

/** @type {Promise<SignatureRunner> | undefined} from a picture to latents, once it was needed. */
let encoder;

self.onmessage = async ({ data: { id, load, job, invert, judge } }) => {
  try {
    const onBytes = (/** @type {number} */ bytes) => self.postMessage({ id, progress: bytes });
    const answers = { load: () => start(load, onBytes), invert: () => latentsOf(invert), judge: () => scoreOf(judge) };
    const what = load ? "load" : invert ? "invert" : judge && "judge";
    self.postMessage({ id, answer: await (what ? answers[what]() : run(job)) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

/**
 * Fetch and compile.
 *
 * @param {{folder: string, model: ModelFile, judges: boolean, accelerator: string}} what `judges`: it is a detector.
 * @param {(bytes: number) => void} onBytes called with how many bytes have just arrived.
 */
async function start({ folder, model, judges, accelerator }, onBytes) {
  if (typeof WebAssembly === "undefined") throw new Error("this browser has no WebAssembly");
  const name = (await supportsFeature("relaxedSimd")) ? "litert" : "litert-compat";
  const [wasm, bytes] = await Promise.all([
    fetchBytes(new URL(`litert/${name}.wasm.gz`, folder), onBytes).then(gunzip),
    fetchBytes(new URL(model.file, folder), onBytes),
  ]);
  await check(bytes, model);
  // LiteRT.js would look for its wasm file beside this script and under the name that it was built with.
  const printErr = (/** @type {string} */ line) => complaints.push(line);
  Object.assign(self, { Module: { wasmBinary: wasm, printErr } });
  await loadLiteRt(new URL(`litert/${name}.js`, folder).href);
  const signature = await compile(bytes, model.file, judges ? "detect" : "generate");
  if (judges) {
    detector = signature;
    return shapeOf(signature, model.file, describeDetector, "a detector");
  }
  const found = shapeOf(signature, model.file);
  generator = { signature, channels: found.channels };
  card = await onCard(bytes, signature, accelerator);
  return found;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {ModelFile} model
 */
async function check(bytes, { file, bytes: size, sha256 }) {
  if (bytes.length !== size) throw new Error(`${file} is damaged: found ${bytes.length} bytes, expected ${size}`);
  const found = await hexDigest(bytes);
  if (found && found !== sha256) throw new Error(`${file} is damaged: its SHA-256 is not the one in model.json`);
}

/** What has such a signature. */
const WHAT = { generate: "a generator", invert: "an encoder", detect: "a detector" };

/**
 * @param {Uint8Array} bytes
 * @param {string} file
 * @param {keyof typeof WHAT} name of the signature that is meant.
 * @returns {Promise<SignatureRunner>}
 */
async function compile(bytes, file, name) {
  try {
    const { signatures } = await loadAndCompile(bytes, { accelerator: "wasm" });
    if (!signatures[name]) throw new Error(`its signatures are ${Object.keys(signatures)}, expected ${name}`);
    return signatures[name];
  } catch (error) {
    const reason = complaints.pop() ?? (error instanceof Error ? error.message : error);
    throw new Error(`${file} is not ${WHAT[name]} that this browser can run: ${reason}`);
  }
}

/**
 * What a picture is drawn of; the encoder is fetched for the first one, and again after a failure.
 *
 * @param {{folder: string, model: ModelFile, pixels: Float32Array}} what pixels (H × W × C) in [0, 1].
 */
async function latentsOf({ folder, model, pixels }) {
  encoder ??= fetchBytes(new URL(model.file, folder), () => {}).then(async (bytes) => {
    await check(bytes, model);
    return compile(bytes, model.file, "invert");
  });
  try {
    return await results(await encoder, { image: pixels });
  } catch (error) {
    encoder = undefined;
    throw error;
  }
}

/**
 * The detector's score of a picture, and how long it ran.
 *
 * @param {Float32Array} pixels (H × W × C) in [0, 1].
 * @returns {Promise<{score: number, milliseconds: number}>}
 */
async function scoreOf(pixels) {
  if (!detector) throw new Error("the detector is not loaded");
  const started = performance.now();
  const { scores } = await results(detector, { images: pixels });
  return { score: scores[0], milliseconds: performance.now() - started };
}

/**
 * @param {SignatureRunner} signature
 * @param {string} file
 * @param {(signature: SignatureRunner) => import("./model.js").Shape} by
 * @param {string} what
 */
function shapeOf(signature, file, by = describe, what = "a generator of images or clips") {
  try {
    return by(signature);
  } catch (error) {
    throw new Error(`${file} is not ${what}: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * One image, or a clip's frames one behind the other: RGBA, how long the model ran, and on what.
 *
 * @param {Job} job
 * @returns {Promise<{pixels: Uint8ClampedArray<ArrayBuffer>, milliseconds: number, accelerator: "wasm" | "webgpu"}>}
 */
async function run(job) {
  if (!generator) throw new Error("the generator is not loaded");
  let started = performance.now();
  let values = await byCard(job);
  const accelerator = values ? "webgpu" : "wasm";
  if (!values) {
    started = performance.now();
    values = await generate(generator.signature, job);
  }
  const milliseconds = performance.now() - started;
  return { pixels: rgba(values, generator.channels), milliseconds, accelerator };
}

/**
 * The same by the graphics card; undefined where there is none, or no longer: drivers crash and laptops unplug them.
 *
 * @param {Job} job
 */
async function byCard(job) {
  if (!card) return undefined;
  const { signature, environment } = card;
  const values = await generate(signature, job, environment).catch(() => undefined);
  if (!values || card.lost) card = undefined;
  return card && values;
}

/**
 * Floats in [0, 1] to pixels, rounded as everywhere in genline: to the nearest of 0…255, values outside clipped.
 *
 * @param {ArrayLike<number>} values (H × W × C), or of several frames.
 * @param {number} channels 1, 3 or 4.
 * @returns {Uint8ClampedArray<ArrayBuffer>} (H × W × 4), or of as many frames.
 */
function rgba(values, channels) {
  const pixels = new Uint8ClampedArray((values.length / channels) * 4).fill(255);
  for (let i = 0, at = 0; i < values.length; i += channels, at += 4) {
    for (let c = 0; c < Math.max(3, channels); c += 1) {
      const value = values[channels === 1 ? i : i + c];
      if (!Number.isFinite(value)) throw new Error("the generator made values that are not finite numbers");
      pixels[at + c] = Math.fround(value * 255);
    }
  }
  return pixels;
}
