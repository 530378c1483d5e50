/** Pictures and links to take away: PNG files that say how they were made, and the address of what is shown. */

import { encodePng, tile } from "../png.js";
import { COLUMNS, EACH, labelAt, SHEET, toLink } from "./state.js";
import { download, element, say } from "./elements.js";

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./sheet.js").Sheet} Sheet
 */

/**
 * @param {Info} info
 * @param {Store} store
 * @param {Sheet} sheet
 */
export function mountSaving(info, store, sheet) {
  element("save-image").addEventListener("click", async () => {
    await sheet.settled();
    const { seed, pick } = store.state;
    const image = sheet.images[pick];
    if (!image) return;
    const label = labelAt(store.state, info, pick);
    const name = `${info.name}-seed${String(seed + BigInt(pick)).padStart(4, "0")}.png`;
    await save(image, name, { seed: String(seed + BigInt(pick)), ...text(label) });
  });
  element("save-sheet").addEventListener("click", async () => {
    await sheet.settled();
    const { seed, label } = store.state;
    const images = sheet.images.filter((image) => image !== undefined);
    const seeds = `${seed}-${seed + BigInt(SHEET - 1)}`;
    await save(tile(images, COLUMNS), `${info.name}-seeds${seeds}.png`, { seeds, ...text(label) });
  });
  element("copy-link").addEventListener("click", () => copyLink(toLink(store.state, info)));

  /** @type {(image: ImageData, name: string, fields: Record<string, string>) => Promise<void>} */
  async function save(image, name, fields) {
    download(await encodePng(image, info.channels, fields), name);
    say(`Saved ${name}`);
  }

  /** The text fields that genclient writes as well. @type {(label: number) => Record<string, string>} */
  function text(label) {
    const { truncation, amounts } = store.state;
    /** @type {Record<string, string>} */
    const fields = { model: info.name, version: String(info.version), truncation: String(truncation) };
    if (info.classNames.length) fields.label = label === EACH ? "each" : String(label);
    if (amounts.some((amount) => amount !== 0)) fields.directions = amounts.join();
    return fields;
  }
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
