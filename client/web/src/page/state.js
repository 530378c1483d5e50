/** What the page shows, as one value; its link form; and the latents that it needs. It touches no element. */

import { classOfSeed, latentsOfSeed, LEAST_SEED, MOST_SEED, moveAlong, parseSeed, truncate } from "../latents.js";

/** How many images a grid may have: as many rows as columns. */
export const COUNTS = [4, 16, 36, 64];
const USUAL_COUNT = 16;
/** How far a slider goes along a direction: a latent is rarely beyond 4 standard deviations. */
export const REACH = 4;
const MOST_TRUNCATION = 1.5;

/**
 * How far the truncation goes: no further than the file's integers hold the generator's images.
 *
 * @param {Info} info
 */
export function mostTruncation({ truncationAtMost }) {
  return Math.min(MOST_TRUNCATION, truncationAtMost ?? MOST_TRUNCATION);
}

/**
 * @typedef {import("../generator.js").Info} Info
 *
 * @typedef {object} State
 * @property {bigint} seed of the first image.
 * @property {number} count images in a grid, one of COUNTS.
 * @property {number} pick the image in the grid that is picked, from 0.
 * @property {number} truncation
 * @property {number} label the class of every image; EACH gives each seed its own.
 * @property {string} text what is to be seen, where the model takes words.
 * @property {number[]} amounts along each direction.
 * @property {bigint} from the morph's first seed.
 * @property {bigint} to its last.
 * @property {Own} [own] a picture of the user's, which stands in the place of a seed.
 *
 * @typedef {{seed: bigint, latents: Float32Array, label: number, name: string}} Own in whose place it stands, what draws it,
 *     its class by the encoder, and what it is called.
 */

/** The label that stands for: seed s has class s modulo their number, wherever it is shown. */
export const EACH = -1;

/** The state, and whoever wants to know when it changes. */
export class Store extends EventTarget {
  /** @param {State} state */
  constructor(state) {
    super();
    this.state = state;
  }

  /** @param {Partial<State>} change */
  update(change) {
    this.state = { ...this.state, ...change };
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * The place of a seed: it is the first of its grid, save at the end of the seeds, where no grid could follow.
 *
 * @param {bigint} seed
 * @param {number} count images in the grid.
 * @returns {{seed: bigint, pick: number}}
 */
export function gridAt(seed, count) {
  const last = MOST_SEED - BigInt(count - 1);
  const first = seed < LEAST_SEED ? LEAST_SEED : seed > last ? last : seed;
  return { seed: first, pick: seed > last ? Number((seed > MOST_SEED ? MOST_SEED : seed) - last) : 0 };
}

/**
 * A grid of another size: it begins with the same seed, and the same image is picked if it is still there.
 *
 * @param {State} state
 * @param {number} count
 * @returns {{count: number, seed: bigint, pick: number}}
 */
export function resized(state, count) {
  const { seed } = gridAt(state.seed, count);
  return { count, seed, pick: Math.min(count - 1, Number(pickedSeed(state) - seed)) };
}

/**
 * Images in a row of a grid.
 *
 * @param {number} count
 */
export function columnsOf(count) {
  return Math.sqrt(count);
}

/**
 * The class of a seed's image.
 *
 * @param {bigint} seed
 * @param {State} state
 * @param {Info} info
 */
export function labelOf(seed, { label, own }, { classNames }) {
  if (label !== EACH) return label;
  return own?.seed === seed ? own.label : classOfSeed(seed, classNames.length);
}

/**
 * The latents of a seed, or of the picture that stands in its place; not yet scaled or moved.
 *
 * @param {bigint} seed
 * @param {State} state
 * @param {Info} info
 * @returns {Float32Array}
 */
export function latentsFrom(seed, { own }, { latentSize }) {
  return own?.seed === seed ? own.latents : latentsOfSeed(seed, latentSize);
}

/**
 * The seed of the image that is picked.
 *
 * @param {State} state
 */
export function pickedSeed({ seed, pick }) {
  return seed + BigInt(pick);
}

/**
 * Latents of a seed as the state has them: z ← ψ z, then along the directions.
 *
 * @param {bigint} seed
 * @param {State} state
 * @param {Info} info
 */
export function latentsAt(seed, state, info) {
  return move(truncate(latentsFrom(seed, state, info), state.truncation), state, info);
}

/**
 * @param {Float32Array} latents
 * @param {State} state
 * @param {Info} info
 */
export function move(latents, { amounts }, { directions }) {
  return moveAlong(
    latents,
    directions.map((direction) => direction.latents),
    amounts,
  );
}

/**
 * A state as the part of a link after #.
 *
 * @param {State} state
 * @param {Info} info
 * @returns {string}
 */
export function toLink(state, info) {
  const fields = new URLSearchParams({ seed: String(state.seed), truncation: String(state.truncation) });
  if (info.classNames.length) fields.set("class", state.label === EACH ? "each" : String(state.label));
  if (state.text) fields.set("text", state.text);
  if (state.count !== USUAL_COUNT) fields.set("n", String(state.count));
  if (state.pick) fields.set("pick", String(state.pick));
  state.amounts.forEach((amount, k) => amount && fields.set(`d${k + 1}`, String(amount)));
  fields.set("from", String(state.from));
  fields.set("to", String(state.to));
  return `#${fields}`;
}

/**
 * The state of a link; what is missing has its default, what is invalid is reported and has it too.
 *
 * @param {string} link as of `location.hash`.
 * @param {Info} info
 * @returns {{state: State, problems: string[]}}
 */
export function fromLink(link, info) {
  const fields = new URLSearchParams(link.replace(/^#/, ""));
  /** @type {string[]} */
  const problems = [];
  /** @type {(name: string, absent: bigint) => bigint} */
  const seed = (name, absent) => {
    try {
      return parseSeed(fields.get(name) ?? absent);
    } catch (error) {
      problems.push(/** @type {Error} */ (error).message.replace("seed", `${name} in the link`));
      return absent;
    }
  };
  /** @type {(name: string, least: number, most: number, absent: number) => number} */
  const number = (name, least, most, absent) => {
    const text = fields.get(name) ?? String(absent);
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most) return value;
    problems.push(`${name} in the link: found “${text}”, expected ${least} to ${most}`);
    return absent;
  };
  const given = fields.get("n") ?? String(USUAL_COUNT);
  const count = COUNTS.find((one) => String(one) === given) ?? USUAL_COUNT;
  if (String(count) !== given) problems.push(`n in the link: found “${given}”, expected one of ${COUNTS.join(", ")}`);
  const place = gridAt(seed("seed", 0n), count);
  const classes = info.classNames.length;
  const each = !classes || fields.get("class") === "each" || !fields.has("class");
  const state = {
    seed: place.seed,
    count,
    pick: fields.has("pick") ? Math.round(number("pick", 0, count - 1, 0)) : place.pick,
    truncation: number("truncation", 0, mostTruncation(info), Math.min(1, mostTruncation(info))),
    label: each ? EACH : Math.round(number("class", 0, classes - 1, 0)),
    text: info.words ? (fields.get("text") ?? "") : "",
    amounts: info.directions.map((_, k) => number(`d${k + 1}`, -REACH, REACH, 0)),
    from: seed("from", place.seed),
    to: seed("to", place.seed + 1n),
  };
  return { state, problems };
}
