/** Seed, truncation, classes and directions: what is moved goes into the store, what is in the store is shown. */

import { parseSeed } from "../latents.js";
import { EACH, REACH, sheetOf } from "./state.js";
import { element, make } from "./elements.js";

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 */

/**
 * @param {Info} info
 * @param {Store} store
 */
export function mountControls(info, store) {
  const showSeed = seedField("seed", (seed) => store.update(sheetOf(seed)));
  element("random").addEventListener("click", () => store.update(sheetOf(randomSeed())));
  const truncation = element("truncation");
  truncation.addEventListener("input", () => store.update({ truncation: Number(truncation.value) }));
  const showClass = mountClasses(info, store);
  const showAmounts = mountDirections(info, store);
  const show = () => {
    showSeed(store.state.seed);
    truncation.value = String(store.state.truncation);
    element("truncation-value").value = store.state.truncation.toFixed(2);
    showClass(store.state.label);
    showAmounts(store.state.amounts);
  };
  store.addEventListener("change", show);
  show();
}

/**
 * A field for a seed: what is no seed is told beneath it and changes nothing.
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
function randomSeed() {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0]);
}

/**
 * @param {Info} info
 * @param {Store} store
 * @returns {(label: number) => void}
 */
function mountClasses({ classNames }, store) {
  if (!classNames.length) return () => {};
  const buttons = ["each", ...classNames].map((name, i) =>
    make("input", { type: "radio", name: "class", value: String(i === 0 ? EACH : i - 1), "aria-label": name }),
  );
  ["Each", ...classNames].forEach((name, i) => element("class-buttons").append(make("label", {}, buttons[i], name)));
  element("classes").hidden = false;
  element("class-buttons").addEventListener("change", (/** @type {any} */ event) => {
    store.update({ label: Number(event.target.value) });
  });
  return (label) => buttons.forEach((button) => (button.checked = button.value === String(label)));
}

/**
 * @param {Info} info
 * @param {Store} store
 * @returns {(amounts: number[]) => void}
 */
function mountDirections({ directions }, store) {
  if (!directions.length) return () => {};
  element("directions").hidden = false;
  const sliders = directions.map((_, k) => {
    const id = `d${k + 1}`;
    const slider = make("input", { id, type: "range", min: -REACH, max: REACH, step: 0.1 });
    const value = make("output", { htmlFor: id });
    const heading = make("div", { className: "heading" }, make("label", { htmlFor: id }, `Direction ${k + 1}`), value);
    element("sliders").append(make("div", { className: "field" }, heading, slider));
    slider.addEventListener("input", () => {
      store.update({ amounts: store.state.amounts.with(k, Number(slider.value)) });
    });
    return { slider, value };
  });
  element("reset").addEventListener("click", () => store.update({ amounts: directions.map(() => 0) }));
  return (amounts) =>
    sliders.forEach(({ slider, value }, k) => {
      slider.value = String(amounts[k]);
      value.value = amounts[k].toFixed(1).replace("-", "\u2212");
    });
}
