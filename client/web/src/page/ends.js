/**
 * Small images at the ends of the sliders: what the picked image becomes there. They are made when nothing else is, and
 * only by a generator that is quick enough.
 */

import { draw, element } from "./elements.js";
import { labelOf, latentsAt, pickedSeed, REACH } from "./state.js";

/** Milliseconds that an image may take. */
const QUICK_MILLISECONDS = 20;
/** The images follow when nothing has moved for so long. */
const REST_MILLISECONDS = 150;

/**
 * @typedef {import("../generator.js").Generator} Generator
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Store} Store
 */

/**
 * @param {Generator} generator
 * @param {Store} store
 * @param {import("./grid.js").Grid} grid
 */
export function mountEnds(generator, store, grid) {
  const count = generator.info.directions.length;
  /** What each pair was made of. @type {string[]} */
  const made = Array(count).fill("");
  let timer = 0;
  let working = false;

  const work = async () => {
    if (working || !(generator.milliseconds <= QUICK_MILLISECONDS)) return;
    working = true;
    try {
      for (let k = stale(); k >= 0; k = stale()) await makePair(k);
    } finally {
      working = false;
    }
  };
  const hidden = (/** @type {number} */ k) => element(`d${k + 1}`).closest("[hidden]") !== null;
  const stale = () => made.findIndex((of, k) => of !== ingredients(store.state, k) && !hidden(k));
  const makePair = async (/** @type {number} */ k) => {
    await grid.settled();
    const { state } = store;
    made[k] = ingredients(state, k);
    for (const [end, amount] of Object.entries({ least: -REACH, most: REACH })) {
      const canvas = element(`d${k + 1}-${end}`);
      await makeEnd(canvas, state, state.amounts.with(k, amount));
      canvas.dataset.made = made[k];
    }
  };
  const makeEnd = async (/** @type {any} */ canvas, /** @type {State} */ state, /** @type {number[]} */ amounts) => {
    const seed = pickedSeed(state);
    const latents = latentsAt(seed, { ...state, amounts }, generator.info);
    const frames = await generator.runClip(latents, labelOf(seed, state, generator.info), state.text);
    draw(canvas, frames[frames.length >> 1]); // of a clip its middle
    canvas.hidden = false;
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(work, REST_MILLISECONDS);
  };
  store.addEventListener("change", later);
  grid.addEventListener("rendered", later);
}

/**
 * What the ends of a slider depend on: all but where it stands itself.
 *
 * @param {State} state
 * @param {number} k
 */
function ingredients(state, k) {
  const words = state.text ? [state.text] : [];
  return [pickedSeed(state), state.truncation, state.label, ...state.amounts.with(k, 0), ...words].join();
}
