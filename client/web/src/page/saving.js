/** Pictures, clips and links to take away: PNG files that say how they were made, and the address of what is shown. */

import { encodeAnimation, encodePng, enlarge, tile } from "../png.js";
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
    const { seed, count, label, own } = store.state;
    const [first, ...others] = grid.clips.filter((clip) => clip !== undefined);
    const frames = first.map((frame, i) => tile([frame, ...others.map((clip) => clip[i])], columnsOf(count)));
    const seeds = `${seed}-${seed + BigInt(count - 1)}`;
    const among = own && own.seed >= seed && own.seed < seed + BigInt(count); // then seeds alone do not make it again
    const text = { [among ? "places" : "seeds"]: seeds, ...described(store.state, info, label) };
    await save(frames, info, `${info.name}-seeds${seeds}.png`, text);
  });
  element("copy-link").addEventListener("click", () => copyLink(toLink(store.state, info)));
}

/**
 * Save the image or clip that is picked.
 *
 * @param {Info} info
 * @param {Store} store
 * @param {Grid} grid
 * @param {number} scale each pixel becomes this many in each direction.
 */
export async function saveImage(info, store, grid, scale) {
  const { state } = store;
  const frames = grid.clips[state.pick];
  if (!frames) return;
  const seed = pickedSeed(state);
  const isOwn = state.own?.seed === seed;
  const what = isOwn ? "picture" : `seed${String(seed).padStart(4, "0")}`;
  const name = `${info.name}-${what}${scale > 1 ? `-x${scale}` : ""}.png`;
  const text = { ...(isOwn ? { picture: state.own?.name } : { seed: String(seed) }), ...described(state, info, labelOf(seed, state, info)) };
  const larger = frames.map((frame) => enlarge(frame, scale));
  await save(larger, info, name, text);
}

/** @type {(frames: ImageData[], info: Info, name: string, text: Record<string, string>) => Promise<void>} */
async function save(frames, info, name, text) {
  download(await encoded(frames, info, text), name);
  say(`Saved ${name}${info.frameCount ? ", an animated PNG" : ""}`);
}

/**
 * A PNG file of an image, an animated one of a clip's frames.
 *
 * @param {ImageData[]} frames
 * @param {Info} info
 * @param {Record<string, string>} text
 * @returns {Promise<Blob>}
 */
export function encoded(frames, { channels, frameCount, framesPerSecond }, text) {
  return frameCount ? encodeAnimation(frames, channels, 1 / framesPerSecond, text) : encodePng(frames[0], channels, text);
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
