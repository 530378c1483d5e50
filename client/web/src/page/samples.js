/** Samples by seed: the parts of the page put together, and the address kept up to date. */

import { mountControls } from "./controls.js";
import { draw, element, say } from "./elements.js";
import { mountEnds } from "./ends.js";
import { mountEnlarged } from "./enlarged.js";
import { Morph } from "./morph.js";
import { mountOwn } from "./own.js";
import { mountSaving } from "./saving.js";
import { Grid } from "./grid.js";
import { Player } from "./player.js";
import { fromLink, pickedSeed, Store, toLink } from "./state.js";

/** The address follows the state this much later: browsers limit how often it may change. */
const LINK_MILLISECONDS = 300;

/**
 * @param {import("../generator.js").Generator} generator
 * @param {() => void} ready called when images have been made.
 * @returns {string[]} what of the address cannot be meant.
 */
export function mountSamples(generator, ready) {
  const { info } = generator;
  const { state, problems } = fromLink(location.hash, info);
  const store = new Store(state);
  const player = new Player(info);
  const grid = new Grid(generator, store, player);
  mountControls(info, store);
  mountPicked(store, grid);
  mountSaving(info, store, grid);
  mountEnlarged(info, store, grid);
  mountEnds(generator, store, grid);
  if (info.encoder) mountOwn(generator, store, grid);
  new Morph(generator, store, player);
  followLink(info, store);
  element("previous").addEventListener("click", () => grid.turn(-1));
  element("next").addEventListener("click", () => grid.turn(1));
  let said = state.seed;
  grid.addEventListener("rendered", () => {
    ready();
    if (store.state.seed !== said) say(range(store.state), false);
    said = store.state.seed;
  });
  grid.refresh();
  if (info.frameCount) nameClips();
  element("main").hidden = false;
  return problems;
}

/** Say clip where the page says image. */
function nameClips() {
  element("save-image").textContent = "Save clip";
  element("count").setAttribute("aria-label", "Clips in the grid");
  for (const option of element("count").options) option.textContent = `${option.value} clips`;
  element("promise").textContent = element("promise").textContent.replace("image", "clip");
}

/** @param {import("./state.js").State} state */
function range({ seed, count }) {
  return `Seeds ${seed} to ${seed + BigInt(count - 1)}`;
}

/**
 * The image that is picked, larger, and what can be done with it.
 *
 * @param {Store} store
 * @param {Grid} grid
 */
function mountPicked(store, grid) {
  const showPicked = () => {
    element("picked-title").textContent = grid.title(store.state.pick);
    element("range").textContent = range(store.state);
    const image = grid.image(store.state.pick);
    if (image) draw(element("picked-canvas"), image);
  };
  store.addEventListener("change", showPicked);
  grid.addEventListener("picked", showPicked);
  showPicked();
  element("morph-from").addEventListener("click", () => {
    store.update({ from: pickedSeed(store.state) });
    say(`The morph begins with seed ${store.state.from}`);
  });
  element("morph-to").addEventListener("click", () => {
    store.update({ to: pickedSeed(store.state) });
    say(`The morph ends with seed ${store.state.to}`);
  });
}

/**
 * The address holds the state; an address that is changed by hand is followed.
 *
 * @param {import("../generator.js").Info} info
 * @param {Store} store
 */
function followLink(info, store) {
  let timer = 0;
  store.addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", toLink(store.state, info)), LINK_MILLISECONDS);
  });
  addEventListener("hashchange", () => {
    const { state, problems } = fromLink(location.hash, info);
    store.update(state);
    say(problems.join(" · "));
  });
}
