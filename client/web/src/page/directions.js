/** The sliders along the directions: the strongest by their number, those of classes by the class. */

import { element, make } from "./elements.js";
import { REACH } from "./state.js";

/** Up to so many directions leave room beside the samples; then the morph goes beneath both columns. */
const FEW = 4;
/** Of more classes than this one is chosen, and has its slider; those that are moved keep theirs. */
const MANY_CLASSES = 12;

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 */

/**
 * @param {Info} info
 * @param {Store} store
 * @returns {(amounts: number[]) => void} shows where the sliders stand.
 */
export function mountDirections({ directions }, store) {
  const few = directions.length ? "few-directions" : "no-directions";
  element("main").classList.toggle(few, directions.length <= FEW);
  if (!directions.length) return () => {};
  element("directions").hidden = false;
  element("of-classes").hidden = !directions.some((direction) => direction.class !== undefined);
  const sliders = directions.map((direction, k) => {
    const id = `d${k + 1}`;
    const move = (/** @type {number} */ amount) => store.update({ amounts: store.state.amounts.with(k, amount) });
    const slider = make("input", { id, type: "range", min: -REACH, max: REACH, step: 0.1 });
    slider.addEventListener("input", () => move(Number(slider.value)));
    const value = make("output", { htmlFor: id });
    const name = direction.class === undefined ? `Direction ${k + 1}` : `Class ${direction.class}`;
    const heading = make("div", { className: "heading" }, make("label", { htmlFor: id }, name), value);
    const [least, most] = [-REACH, REACH].map((amount) => {
      const words = `${name} at ${signed(amount)}`;
      const end = make("canvas", { id: `${id}-${amount < 0 ? "least" : "most"}`, role: "img", hidden: true, title: words });
      end.setAttribute("aria-label", words);
      end.addEventListener("click", () => move(amount)); // as the slider's keys Home and End do
      return end;
    });
    const track = make("div", { className: "track" }, least, slider, most);
    const field = make("div", { className: "field" }, heading, track);
    element("sliders").append(field);
    return { slider, value, field, ofClass: direction.class !== undefined };
  });
  const chosen = mountChoice(directions, sliders, store);
  element("reset").addEventListener("click", () => store.update({ amounts: directions.map(() => 0) }));
  return (amounts) =>
    sliders.forEach(({ slider, value, field, ofClass }, k) => {
      slider.value = String(amounts[k]);
      value.value = signed(amounts[k]);
      field.hidden = chosen !== undefined && ofClass && amounts[k] === 0 && Number(chosen.value) !== k;
    });
}

/**
 * A field that chooses one of many classes, before their sliders; undefined where they are few.
 *
 * @param {Info["directions"]} directions
 * @param {{field: HTMLElement}[]} sliders of the directions.
 * @param {Store} store
 */
function mountChoice(directions, sliders, store) {
  const classes = directions.flatMap((direction, k) => (direction.class === undefined ? [] : [{ name: direction.class, k }]));
  if (classes.length <= MANY_CLASSES) return undefined;
  const options = classes.map(({ name, k }) => make("option", { value: String(k) }, name));
  const chosen = make("select", { id: "direction-class" }, ...options);
  chosen.addEventListener("change", () => store.update({}));
  const label = make("label", { htmlFor: chosen.id }, `Towards one of ${classes.length} classes`);
  sliders[classes[0].k].field.before(make("div", { className: "field" }, label, chosen));
  return chosen;
}

/** @param {number} amount */
function signed(amount) {
  return amount.toFixed(1).replace("-", "\u2212");
}
