/**
 * A compiled TFLite file: whether it makes images, of what, and one run of it, on the processor or on a graphics card.
 */

import { Tensor } from "@litertjs/core";

/**
 * @typedef {import("@litertjs/core").SignatureRunner} SignatureRunner
 * @typedef {import("@litertjs/core").TensorDetails} TensorDetails
 * @typedef {import("@litertjs/core").Environment} Environment
 * @typedef {Record<string, Float32Array | Int32Array>} Job an array for each input, by its name; pictures in [0, 1].
 * @typedef {{height: number, width: number, channels: number}} Size
 * @typedef {Size & {latentSize: number, conditional: boolean, tokenCount: number, picture?: Size & {hints: boolean}}} Shape
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
  "latents float32 (1, Z) or image float32 (1, H, W, C), and perhaps labels int32 (1), tokens int32 (1, L) and hints float32 (1, H, W, 4), → images float32 or uint8 (1, H, W, C)";

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
  const images = outs.find((tensor) => tensor.name === "images");
  const known = ins.every((tensor) => tensor.name in INPUTS && is(tensor, ...INPUTS[tensor.name]));
  const fits = known && (latents || image) && isPicture(image) && (!hints || (image && hints.shape[3] === 4));
  if (!fits || !is(images, images?.dtype === "uint8" ? "uint8" : "float32", 4) || !isPicture(images)) {
    throw new Error(`it does ${words(ins)} → ${words(outs)}, and this page shows ${EXPECTED}`);
  }
  const picture = image && { ...size(image), hints: hints !== undefined };
  const [latentSize, tokenCount] = [latents, tokens].map((tensor) => tensor?.shape[1] ?? 0);
  return { latentSize, ...size(images), conditional: labels !== undefined, tokenCount, picture };
}

/**
 * @param {TensorDetails | undefined} tensor
 * @param {string} dtype
 * @param {number} rank
 * @returns {tensor is TensorDetails} of that type and rank, for one image.
 */
function is(tensor, dtype, rank) {
  return tensor?.dtype === dtype && tensor.shape.length === rank && tensor.shape[0] === 1;
}

/** @param {TensorDetails | undefined} tensor one that is missing will do. */
function isPicture(tensor) {
  return !tensor || CHANNELS.includes(tensor.shape[3]);
}

/**
 * @param {TensorDetails} tensor
 * @returns {Size}
 */
function size({ shape: [, height, width, channels] }) {
  return { height, width, channels };
}

/** @param {readonly TensorDetails[]} tensors */
function words(tensors) {
  return tensors.map(({ name, dtype, shape }) => `${name} ${dtype} (${[...shape].join(", ")})`).join(", ");
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
 * One image: floats as the file gives them, or its pixels where it gives those.
 *
 * @param {SignatureRunner} signature
 * @param {Job} job
 * @param {Environment} [environment] of the graphics card that it was compiled for.
 * @returns {Promise<ArrayLike<number>>} (H × W × C), in [0, 1].
 */
export async function generate(signature, job, environment) {
  const details = signature.getInputDetails();
  const inputs = Object.fromEntries(
    details.map(({ name, shape }) => [name, new Tensor(job[name], [...shape], environment)]),
  );
  const outputs = await signature.run(inputs);
  try {
    const values = await outputs.images.data(); // a copy: the tensor may go
    return values instanceof Uint8Array ? Float32Array.from(values, (value) => value / 255) : values;
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  }
}
