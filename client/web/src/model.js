/** A compiled TFLite file: whether it is a generator, and one run of it, on the processor or on a graphics card. */

import { Tensor } from "@litertjs/core";

/**
 * @typedef {import("@litertjs/core").SignatureRunner} SignatureRunner
 * @typedef {import("@litertjs/core").TensorDetails} TensorDetails
 * @typedef {import("@litertjs/core").Environment} Environment
 * @typedef {{latents: Float32Array, label: number}} Job
 * @typedef {{latentSize: number, height: number, width: number, channels: number, conditional: boolean}} Shape
 */

const CHANNELS = [1, 3, 4];
const EXPECTED = "latents float32 (1, Z) [, labels int32 (1)] → images float32 or uint8 (1, H, W, C)";

/**
 * What the file takes and gives.
 *
 * @param {SignatureRunner} signature
 * @returns {Shape}
 * @throws {Error} it is no generator: the message says what it takes and gives.
 */
export function describe(signature) {
  const [ins, outs] = [signature.getInputDetails(), signature.getOutputDetails()];
  const { latents, labels, ...others } = Object.fromEntries(ins.map((tensor) => [tensor.name, tensor]));
  const images = outs.find((tensor) => tensor.name === "images");
  const fits =
    is(latents, "float32", 2) && (!labels || is(labels, "int32", 1)) && is(images, images?.dtype === "uint8" ? "uint8" : "float32", 4) &&
    CHANNELS.includes(images.shape[3]) && !Object.keys(others).length;
  if (!fits) throw new Error(`it does ${words(ins)} → ${words(outs)}, and this page shows ${EXPECTED}`);
  const [, height, width, channels] = images.shape;
  return { latentSize: latents.shape[1], height, width, channels, conditional: labels !== undefined };
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

/** @param {readonly TensorDetails[]} tensors */
function words(tensors) {
  return tensors.map(({ name, dtype, shape }) => `${name} ${dtype} (${[...shape].join(", ")})`).join(", ");
}

/**
 * One image: floats as the file gives them, or its pixels where it gives those.
 *
 * @param {SignatureRunner} signature
 * @param {Job} job
 * @param {Environment} [environment] of the graphics card that it was compiled for.
 * @returns {Promise<ArrayLike<number>>} (H × W × C), in [0, 1].
 */
export async function generate(signature, { latents, label }, environment) {
  /** @type {Record<string, Tensor>} */
  const inputs = { latents: new Tensor(latents, [1, latents.length], environment) };
  if (signature.getInputDetails().length > 1) inputs.labels = new Tensor(new Int32Array([label]), [1], environment);
  const outputs = await signature.run(inputs);
  try {
    const values = await outputs.images.data(); // a copy: the tensor may go
    return values instanceof Uint8Array ? Float32Array.from(values, (value) => value / 255) : values;
  } finally {
    for (const tensor of [...Object.values(inputs), ...Object.values(outputs)]) tensor.delete();
  }
}
