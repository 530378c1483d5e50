/** A picture is opened, and a detector says how probably it was generated, and which side of its threshold that is. */

import { draw, element } from "./elements.js";
import { mountOpening } from "./opening.js";
import { opaque, prepared } from "../pictures.js";

/**
 * @param {import("../generator.js").Generator} generator of a folder with a detector.
 * @param {() => void} ready called when a picture has been judged.
 * @returns {string[]} nothing: the address says nothing here.
 */
export function mountDetection(generator, ready) {
  const { width, height, channels } = generator.info;
  const detector = /** @type {import("../generator.js").Detector} */ (generator.info.detector);
  element("judged-size").textContent = `brought to ${width}×${height}`;
  element("promise").textContent = "The detector runs in your browser.";
  element("alarms").textContent = alarms(detector);
  element("judge").hidden = false;
  let last = 0;
  mountOpening(async (image, name) => {
    const turn = (last += 1);
    const canvas = element("judged");
    canvas.setAttribute("aria-busy", "true");
    const { score, generated } = await generator.detect(image);
    if (turn !== last) return; // another one was opened meanwhile
    const frame = { width, height, channels, preprocessing: detector.preprocessing };
    draw(canvas, new ImageData(opaque(prepared(image, frame), frame), width, height));
    canvas.setAttribute("aria-busy", "false");
    element("judged-name").textContent = name;
    element("probability").textContent = percent(1 - score);
    element("verdict").textContent = generated ? "Generated" : "Real";
    element("meter").value = 1 - score;
    ready();
  }, "judge-");
  return [];
}

/**
 * How often a verdict is wrong of real pictures, where that is known: genclient's words.
 *
 * @param {import("../generator.js").Detector} detector
 */
function alarms({ threshold, falseAlarms, within }) {
  const called = `From a probability of ${percent(1 - threshold)} on a picture is called generated`;
  if (falseAlarms === undefined) return `${called}.`;
  const interval = within ? ` (from ${percent(within[0])} to ${percent(within[1])})` : "";
  return `${called}; so are ${percent(falseAlarms)} of real ones${interval} that are like those of its training.`;
}

/** @param {number} share */
function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}
