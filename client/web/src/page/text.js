/** What is to be seen, of a model that takes words: a field that completes them, and what it does not know of them. */

import { Words } from "../words.js";
import { element, make } from "./elements.js";

/** Words that are offered at a time. */
const OFFERED = 12;

/**
 * @typedef {import("../generator.js").Info} Info
 * @typedef {import("./state.js").Store} Store
 */

/**
 * @param {Info} info
 * @param {Store} store
 * @returns {(text: string) => void} shows the text.
 */
export function mountText({ words: described }, store) {
  if (!described) return () => {};
  const words = new Words(described);
  const field = element("text");
  element("words").hidden = false;
  field.placeholder = words.known.slice(0, 3).join(" ");
  field.addEventListener("input", () => {
    offer(words, field.value);
    store.update({ text: field.value });
  });
  offer(words, "");
  return (text) => {
    if (field.value !== text) field.value = text;
    const unknown = words.unknown(text).map((word) => withNear(words, word));
    element("text-problem").textContent = unknown.length ? `The model does not know ${unknown.join(", ")}.` : "";
  };
}

/**
 * A word that the model does not know, with those that may be meant: `hart (heart?)`.
 *
 * @param {Words} words
 * @param {string} word
 */
function withNear(words, word) {
  const near = words.near(word);
  return near.length ? `${word} (${near.join(" or ")}?)` : word;
}

/**
 * The words that what is typed last may become, the most frequent first, each behind the words before it.
 *
 * @param {Words} words
 * @param {string} text
 */
function offer(words, text) {
  const [, before, last] = /** @type {RegExpExecArray} */ (/^(.*?)(\S*)$/su.exec(text));
  const begun = words.split(last).join(" ");
  const fitting = words.known.filter((word) => word.startsWith(begun) && word !== begun).slice(0, OFFERED);
  element("text-words").replaceChildren(...fitting.map((word) => make("option", { value: before + word })));
}
