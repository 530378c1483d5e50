/**
 * The thread that owns LiteRT: it loads the runtime and one TFLite file, then makes an image a message. Only generator.js
 * talks to it. Built into `genline-worker.js`, a classic script, since LiteRT.js loads its own by importScripts.
 */

import { Environment, loadAndCompile, loadLiteRt, supportsFeature, Tensor } from "@litertjs/core";
import { fetchBytes, gunzip, hexDigest } from "./fetching.js";

/**
 * @typedef {import("./generator.js").ModelFile} ModelFile
 * @typedef {{latents: Float32Array, label: number}} Job
 * @typedef {import("@litertjs/core").SignatureRunner} SignatureRunner
 */

/** @type {{signature: SignatureRunner, channels: number, conditional: boolean} | undefined} */
let generator;
/** @type {string[]} the last words of the runtime, which say more than its exceptions */
const complaints = [];

self.onmessage = async ({ data: { id, load, job } }) => {
  try {
    const answer = load ? await start(load, (bytes) => self.postMessage({ id, progress: bytes })) : await run(job);
    self.postMessage({ id, answer });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};

/**
 * Fetch and compile.
 *
 * @param {{folder: string, model: ModelFile}} what
 * @param {(bytes: number) => void} onBytes told how many bytes have just arrived.
 */
async function start({ folder, model }, onBytes) {
  if (typeof WebAssembly === "undefined") throw new Error("this browser has no WebAssembly");
  const name = (await supportsFeature("relaxedSimd")) ? "litert" : "litert-compat";
  const [wasm, bytes] = await Promise.all([
    fetchBytes(new URL(`litert/${name}.wasm.gz`, folder), onBytes).then(gunzip),
    fetchBytes(new URL(model.file, folder), onBytes),
  ]);
  await check(bytes, model);
  // LiteRT.js would wake the graphics card, and warn where there is none; the generator runs on the processor.
  Environment.create = async () => new Environment({ webGpuDevice: null });
  // LiteRT.js would look for its wasm file beside this script and under the name that it was built with.
  const printErr = (/** @type {string} */ line) => complaints.push(line);
  Object.assign(self, { Module: { wasmBinary: wasm, printErr } });
  await loadLiteRt(new URL(`litert/${name}.js`, folder).href);
  const signature = await compile(bytes, model.file);
  const found = describe(signature, model.file);
  generator = { signature, ...found };
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

/**
 * @param {Uint8Array} bytes
 * @param {string} file
 * @returns {Promise<SignatureRunner>}
 */
async function compile(bytes, file) {
  try {
    const { signatures } = await loadAndCompile(bytes, { accelerator: "wasm" });
    if (!signatures.generate) throw new Error(`its signatures are ${Object.keys(signatures)}, expected generate`);
    return signatures.generate;
  } catch (error) {
    const reason = complaints.pop() ?? (error instanceof Error ? error.message : error);
    throw new Error(`${file} is not a generator that this browser can run: ${reason}`);
  }
}

/**
 * What the file takes and gives.
 *
 * @param {SignatureRunner} signature
 * @param {string} file
 */
function describe(signature, file) {
  const inputs = Object.fromEntries(signature.getInputDetails().map((tensor) => [tensor.name, tensor]));
  const images = signature.getOutputDetails().find((tensor) => tensor.name === "images");
  const [, height, width, channels] = images?.shape ?? [];
  if (inputs.latents?.dtype !== "float32" || images?.dtype !== "float32" || ![1, 3, 4].includes(channels)) {
    throw new Error(`${file}: expected latents float32 (1, Z) → images float32 (1, H, W, C)`);
  }
  return { latentSize: inputs.latents.shape[1], height, width, channels, conditional: "labels" in inputs };
}

/**
 * One image.
 *
 * @param {Job} job
 * @returns {Promise<{pixels: Uint8ClampedArray<ArrayBuffer>, milliseconds: number}>} RGBA, and how long the model ran.
 */
async function run({ latents, label }) {
  if (!generator) throw new Error("the generator is not loaded");
  const started = performance.now();
  /** @type {Record<string, Tensor>} */
  const inputs = { latents: new Tensor(latents, [1, latents.length]) };
  if (generator.conditional) inputs.labels = new Tensor(new Int32Array([label]), [1]);
  const outputs = await generator.signature.run(inputs);
  const values = outputs.images.toTypedArray(); // a copy: the tensor may go
  for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  const milliseconds = performance.now() - started;
  return { pixels: rgba(values, generator.channels), milliseconds };
}

/**
 * Floats in [0, 1] to pixels, rounded as everywhere in genline: to the nearest of 0…255, values outside clipped.
 *
 * @param {ArrayLike<number>} values (H × W × C).
 * @param {number} channels 1, 3 or 4.
 * @returns {Uint8ClampedArray<ArrayBuffer>} (H × W × 4).
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
