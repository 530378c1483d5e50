/** Pictures and links to take away: PNG files that say how they were made, and the address of what is shown. */

import { encodePng, enlarge, tile } from "../png.js";
import { columnsOf, EACH, labelOf, pickedSeed, toLink } from "./state.js";
import { download, element, say } from "./elements.js";

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./grid.js").Grid} Grid
 */

/**
 * @param {Info} info
 * @param {Store} store
 * @param {Grid} grid
 */
export function mountSaving(info, store, grid) {
  element("save-image").addEventListener("click", async () => {
    await grid.settled();
    await saveImage(info, store, grid, 1);
  });
  element("save-grid").addEventListener("click", async () => {
    await grid.settled();
    const { seed, count, label } = store.state;
    const images = grid.images.filter((image) => image !== undefined);
    const seeds = `${seed}-${seed + BigInt(count - 1)}`;
    const text = { seeds, ...described(store.state, info, label) };
    await save(tile(images, columnsOf(count)), info, `${info.name}-seeds${seeds}.png`, text);
  });
  element("copy-link").addEventListener("click", () => copyLink(toLink(store.state, info)));
}

/**
 * Save the image that is picked.
 *
 * @param {Info} info
 * @param {Store} store
 * @param {Grid} grid
 * @param {number} scale each pixel becomes this many in each direction.
 */
export async function saveImage(info, store, grid, scale) {
  const { state } = store;
  const image = grid.images[state.pick];
  if (!image) return;
  const seed = pickedSeed(state);
  const name = `${info.name}-seed${String(seed).padStart(4, "0")}${scale > 1 ? `-x${scale}` : ""}.png`;
  const text = { seed: String(seed), ...described(state, info, labelOf(seed, state, info)) };
  await save(enlarge(image, scale), info, name, text);
}

/** @type {(image: ImageData, info: Info, name: string, text: Record<string, string>) => Promise<void>} */
async function save(image, info, name, text) {
  download(await encodePng(image, info.channels, text), name);
  say(`Saved ${name}`);
}

/**
 * How pictures were made, as the text fields that genclient writes as well.
 *
 * @param {import("./state.js").State} state
 * @param {Info} info
 * @param {number} [label]
 * @returns {Record<string, string>}
 */
export function described({ truncation, amounts, text, label: chosen }, info, label = chosen) {
  /** @type {Record<string, string>} */
  const fields = { model: info.name, version: String(info.version), truncation: String(truncation) };
  if (info.classNames.length) fields.label = label === EACH ? "each" : String(label);
  if (text) fields.text = text;
  if (amounts.some((amount) => amount !== 0)) fields.directions = amounts.join();
  return fields;
}

/** @param {string} link the part after #: the address itself follows a little later. */
async function copyLink(link) {
  try {
    await navigator.clipboard.writeText(new URL(link, location.href).href);
    say("Copied the link to what is shown");
  } catch {
    // Outside https and localhost, or refused.
    say("Copy the address of this page: it holds what is shown");
  }
}
