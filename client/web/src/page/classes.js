/** The class of the images: a button each, and a field that finds one among many. */

import { element, make, say } from "./elements.js";
import { EACH } from "./state.js";

/** From this many classes on there is a field to search them. */
const MANY = 25;

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 */

/**
 * @param {Info} info
 * @param {Store} store
 * @returns {(label: number) => void} shows which class it is.
 */
export function mountClasses({ classNames }, store) {
  if (!classNames.length) return () => {};
  const box = element("class-buttons");
  const buttons = ["each", ...classNames].map((name, i) =>
    make("input", { type: "radio", name: "class", value: String(i === 0 ? EACH : i - 1), "aria-label": name }),
  );
  const chips = ["Each", ...classNames].map((name, i) => make("label", {}, buttons[i], name));
  box.append(...chips);
  element("classes").hidden = false;
  box.addEventListener("change", (/** @type {any} */ event) => store.update({ label: Number(event.target.value) }));
  if (classNames.length >= MANY) mountSearch(classNames, chips.slice(1), store);
  return (label) => {
    buttons.forEach((button) => (button.checked = button.value === String(label)));
    requestAnimationFrame(() => reveal(chips[label + 1], box)); // at first the page is not laid out yet
  };
}

/**
 * Scroll a box, and nothing else, to where one of its buttons is seen.
 *
 * @param {HTMLElement} chip
 * @param {HTMLElement} box
 */
function reveal(chip, box) {
  const [top, bottom] = [chip.offsetTop, chip.offsetTop + chip.offsetHeight];
  if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
}

/**
 * What is typed narrows the buttons down to classes with that in their name, or of that number; Enter takes the first.
 * The class that is chosen stays, since by keyboard the others are reached from there.
 *
 * @param {string[]} names
 * @param {any[]} chips one a class.
 * @param {Store} store
 */
function mountSearch(names, chips, store) {
  const field = element("class-search");
  const words = names.map((name) => name.toLocaleLowerCase());
  const find = () => {
    const text = field.value.trim().toLocaleLowerCase();
    return names.flatMap((_, i) => (words[i].includes(text) || String(i) === text ? [i] : []));
  };
  field.hidden = false;
  field.placeholder = `Search ${names.length} classes`;
  field.addEventListener("input", () => {
    const found = new Set(find());
    chips.forEach((chip, i) => (chip.hidden = !found.has(i) && i !== store.state.label));
    element("class-none").textContent = found.size ? "" : "No class has that in its name.";
    say(`${found.size} of ${names.length} classes`, false);
  });
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter") return;
    const found = find();
    const text = field.value.trim().toLocaleLowerCase();
    const exact = found.find((i) => words[i] === text);
    if (text && found.length) store.update({ label: exact ?? found[0] });
  });
}
