/**
 * A picture of the user's among the samples: its latents take the place of the picked seed, and all that is done with seeds,
 * truncation, directions and morphs, is done with it.
 */

import { element, say } from "./elements.js";
import { mountOpening } from "./opening.js";
import { gridAt, pickedSeed } from "./state.js";

/**
 * @param {import("../generator.js").Generator} generator
 * @param {import("./state.js").Store} store
 * @param {import("./grid.js").Grid} grid
 */
export function mountOwn(generator, store, grid) {
  let last = 0;
  mountOpening(async (image, name) => {
    const turn = (last += 1);
    try {
      const { latents, label } = await generator.invert(image);
      if (turn === last) take(latents, label, name); // else another one was opened meanwhile
    } catch (error) {
      say(`${name} cannot be drawn: ${error instanceof Error ? error.message : error}`);
    }
  }, "own-");
  const remove = element("own-remove");
  remove.addEventListener("click", () => {
    last += 1;
    store.update({ own: undefined });
    say("Removed the picture", false);
  });
  store.addEventListener("change", () => (remove.disabled = !store.state.own));
  element("own").hidden = false;

  /** @type {(latents: Float32Array, label: number, name: string) => void} */
  const take = (latents, label, name) => {
    const seed = pickedSeed(store.state);
    store.update({ own: { seed, latents, label, name }, from: seed, ...(store.state.to === seed && { to: next(seed) }) });
    grid.dispatchEvent(new Event("picked"));
    say(`The picture stands in the place of seed ${seed}, and the morph begins with it`);
  };
}

/** A seed beside another one. @param {bigint} seed */
function next(seed) {
  const beside = gridAt(seed + 1n, 1);
  return beside.seed === seed ? seed - 1n : beside.seed;
}
