/** Seed, truncation and how many images: what is changed goes into the store, what is in the store is shown. */

import { parseSeed } from "../latents.js";
import { mountClasses } from "./classes.js";
import { mountDirections } from "./directions.js";
import { element, make } from "./elements.js";
import { mountText } from "./text.js";
import { COUNTS, gridAt, mostTruncation, resized } from "./state.js";

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 */

/**
 * @param {Info} info
 * @param {Store} store
 */
export function mountControls(info, store) {
  const showSeed = seedField("seed", (seed) => store.update(gridAt(seed, store.state.count)));
  element("random").addEventListener("click", () => store.update(gridAt(randomSeed(), store.state.count)));
  const count = element("count");
  COUNTS.forEach((number) => count.append(make("option", { value: String(number) }, `${number} images`)));
  count.addEventListener("change", () => store.update(resized(store.state, Number(count.value))));
  const truncation = element("truncation");
  truncation.max = String(mostTruncation(info));
  truncation.addEventListener("input", () => store.update({ truncation: Number(truncation.value) }));
  const showText = mountText(info, store);
  const showClass = mountClasses(info, store);
  const showAmounts = mountDirections(info, store);
  const show = () => {
    showSeed(store.state.seed);
    count.value = String(store.state.count);
    truncation.value = String(store.state.truncation);
    element("truncation-value").value = store.state.truncation.toFixed(2);
    showText(store.state.text);
    showClass(store.state.label);
    showAmounts(store.state.amounts);
  };
  store.addEventListener("change", show);
  show();
}

/**
 * A field for a seed: what is no seed is reported beneath it and changes nothing.
 *
 * @param {string} id
 * @param {(seed: bigint) => void} take
 * @returns {(seed: bigint) => void} shows a seed in the field.
 */
export function seedField(id, take) {
  const field = element(id);
  const tell = (/** @type {string} */ problem) => {
    element(`${id}-problem`).textContent = problem;
    field.setAttribute("aria-invalid", String(problem !== ""));
  };
  field.addEventListener("change", () => {
    try {
      const seed = parseSeed(field.value);
      tell("");
      take(seed);
    } catch (error) {
      tell(/** @type {Error} */ (error).message);
    }
  });
  return (seed) => {
    if (document.activeElement === field && field.getAttribute("aria-invalid") === "true") return;
    field.value = String(seed);
    tell("");
  };
}

/** Short enough to tell someone. */
export function randomSeed() {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0]);
}
