/**
 * A compiled TFLite file: whether it makes images or clips, of what, and one run of it, on the processor or on a graphics
 * card.
 */

import { Tensor } from "@litertjs/core";

/**
 * @typedef {import("@litertjs/core").SignatureRunner} SignatureRunner
 * @typedef {import("@litertjs/core").TensorDetails} TensorDetails
 * @typedef {import("@litertjs/core").Environment} Environment
 * @typedef {Record<string, Float32Array | Int32Array>} Job an array for each input, by its name; pictures in [0, 1].
 * @typedef {{height: number, width: number, channels: number}} Size
 * @typedef {object} Inputs
 * @property {number} latentSize Z; 0 where it takes none.
 * @property {boolean} conditional whether it takes labels.
 * @property {number} tokenCount words of a text; 0 where it takes none.
 * @property {Size & {hints: boolean}} [picture] that it takes.
 * @typedef {Size & Inputs & {frameCount: number}} Shape of an image or a frame; how many a clip has, 0 where it makes images.
 */

/** Type and rank of what a file may take. @type {Record<string, [string, number]>} */
const INPUTS = {
  latents: ["float32", 2],
  labels: ["int32", 1],
  tokens: ["int32", 2],
  image: ["float32", 4],
  hints: ["float32", 4],
};
const CHANNELS = [1, 3, 4];
const EXPECTED =
  "latents float32 (1, Z) or image float32 (1, H, W, C), and perhaps labels int32 (1), tokens int32 (1, L) and hints float32 (1, H, W, 4), → images float32 or uint8 (1, H, W, C) or clips (1, T, H, W, C)";

/**
 * What the file takes and gives.
 *
 * @param {SignatureRunner} signature
 * @returns {Shape}
 * @throws {Error} it makes no images of these: the message says what it takes and gives.
 */
export function describe(signature) {
  const [ins, outs] = [signature.getInputDetails(), signature.getOutputDetails()];
  const { latents, labels, tokens, image, hints } = Object.fromEntries(ins.map((tensor) => [tensor.name, tensor]));
  const made = outs.find(({ name }) => name === "images" || name === "clips");
  const moving = made?.name === "clips";
  const known = ins.every((tensor) => tensor.name in INPUTS && is(tensor, ...INPUTS[tensor.name]));
  const fits = known && (latents || image) && isPicture(image) && (!hints || (image && hints.shape[3] === 4));
  const dtype = made?.dtype === "uint8" ? "uint8" : "float32";
  if (!fits || !is(made, dtype, moving ? 5 : 4) || !isPicture(made)) {
    throw new Error(`it does ${words(ins)} → ${words(outs)}, and this page shows ${EXPECTED}`);
  }
  const picture = image && { ...size(image), hints: hints !== undefined };
  const [latentSize, tokenCount] = [latents, tokens].map((tensor) => tensor?.shape[1] ?? 0);
  const frameCount = moving ? made.shape[1] : 0;
  return { latentSize, ...size(made), frameCount, conditional: labels !== undefined, tokenCount, picture };
}

/**
 * @param {TensorDetails | undefined} tensor
 * @param {string} dtype
 * @param {number} rank
 * @returns {tensor is TensorDetails} of that type and rank, for one image or clip.
 */
function is(tensor, dtype, rank) {
  return tensor?.dtype === dtype && tensor.shape.length === rank && tensor.shape[0] === 1;
}

/** @param {TensorDetails | undefined} tensor one that is missing will do. */
function isPicture(tensor) {
  return !tensor || CHANNELS.includes(size(tensor).channels);
}

/**
 * @param {TensorDetails} tensor
 * @returns {Size}
 */
function size({ shape }) {
  const [height, width, channels] = [...shape].slice(-3);
  return { height, width, channels };
}

/** @param {readonly TensorDetails[]} tensors */
function words(tensors) {
  return tensors.map(({ name, dtype, shape }) => `${name} ${dtype} (${[...shape].join(", ")})`).join(", ");
}

/**
 * What a detector takes.
 *
 * @param {SignatureRunner} signature
 * @returns {Shape} of the pictures; it makes none.
 * @throws {Error} it gives no scores of pictures: the message says what it takes and gives.
 */
export function describeDetector(signature) {
  const [ins, outs] = [signature.getInputDetails(), signature.getOutputDetails()];
  const scores = outs.find(({ name }) => name === "scores");
  const takes = ins.length === 1 && ins[0].name === "images" && is(ins[0], "float32", 4) && isPicture(ins[0]);
  if (!takes || !is(scores, "float32", 1)) {
    throw new Error(`it does ${words(ins)} → ${words(outs)}, expected images float32 (1, H, W, C) → scores float32 (1)`);
  }
  return { ...size(ins[0]), latentSize: 0, frameCount: 0, conditional: false, tokenCount: 0 };
}

/**
 * Some inputs, to try a file with; always the same.
 *
 * @param {SignatureRunner} signature
 * @returns {Job}
 */
export function sample(signature) {
  const inputs = signature.getInputDetails().map(({ name, shape }) => {
    const length = [...shape].reduce((product, side) => product * side, 1);
    if (name === "labels" || name === "tokens") return [name, new Int32Array(length)];
    const value = (/** @type {number} */ i) => (name === "latents" ? Math.sin(i + 1) : Math.abs(Math.sin(i + 1)));
    return [name, new Float32Array(length).map((_, i) => value(i))];
  });
  return Object.fromEntries(inputs);
}

/**
 * One image or clip: floats as the file gives them, or its pixels where it gives those.
 *
 * @param {SignatureRunner} signature
 * @param {Job} job
 * @param {Environment} [environment] of the graphics card that it was compiled for.
 * @returns {Promise<ArrayLike<number>>} (H × W × C), of a clip (T × H × W × C), in [0, 1].
 */
export async function generate(signature, job, environment) {
  const { images, clips } = await results(signature, job, environment);
  const values = images ?? clips;
  return values instanceof Uint8Array ? Float32Array.from(values, (value) => value / 255) : values;
}

/**
 * Everything that one run gives, by name.
 *
 * @param {SignatureRunner} signature
 * @param {Job} job
 * @param {Environment} [environment] of the graphics card that it was compiled for.
 * @returns {Promise<Record<string, any>>} typed arrays.
 */
export async function results(signature, job, environment) {
  const details = signature.getInputDetails();
  const inputs = Object.fromEntries(
    details.map(({ name, shape }) => [name, new Tensor(job[name], [...shape], environment)]),
  );
  const outputs = await signature.run(inputs);
  try {
    const names = Object.keys(outputs);
    const arrays = await Promise.all(names.map((name) => outputs[name].data())); // copies: the tensors may go
    return Object.fromEntries(names.map((name, i) => [name, arrays[i]]));
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  }
}
