/**
 * A picture becomes another: what is drawn or opened on the left, what the model makes of it on the right. While
 * something moves, the newest state is translated in turn, so the model never works on what nobody will see.
 */

import { encodePng } from "../png.js";
import { randomSeed, seedField } from "./controls.js";
import { Drawing } from "./drawing.js";
import { download, draw, element, make, say } from "./elements.js";
import { mountOpening } from "./opening.js";
import { mountTools } from "./tools.js";

/** @typedef {import("../generator.js").Generator} Generator */

/**
 * @param {Generator} generator
 * @param {() => void} ready called when an image has been made.
 * @returns {string[]} nothing: the address says nothing here.
 */
export function mountTranslation(generator, ready) {
  const { info } = generator;
  const picture = /** @type {import("../generator.js").Picture} */ (info.picture);
  const drawing = new Drawing(picture);
  const translation = new Translation(generator, drawing);
  element("input-size").textContent = `brought to ${picture.width}×${picture.height}`;
  element("output-size").textContent = `${info.width}×${info.height}`;
  element("promise").textContent = "The model runs in your browser.";
  element("translate").hidden = false;
  mountTools(drawing);
  mountOpening((image) => drawing.add({ kind: "picture", image }));
  mountChoices(generator, translation);
  mountTaking(translation);
  translation.addEventListener("made", ready);
  translation.refresh();
  return [];
}

/** What is made of the drawing as it is now. */
class Translation extends EventTarget {
  /** @type {ImageData | undefined} */
  image;
  /** @type {{seed: bigint, label: number}} */
  chosen = { seed: 0n, label: 0 };
  #working = false;
  #stale = false;

  /**
   * @param {Generator} generator
   * @param {Drawing} drawing
   */
  constructor(generator, drawing) {
    super();
    this.generator = generator;
    this.drawing = drawing;
    drawing.addEventListener("change", () => this.refresh());
  }

  /** @param {Partial<{seed: bigint, label: number}>} change */
  choose(change) {
    this.chosen = { ...this.chosen, ...change };
    this.refresh();
  }

  async refresh() {
    this.#stale = true;
    element("made").setAttribute("aria-busy", "true");
    if (this.#working) return;
    this.#working = true;
    try {
      while (this.#stale) {
        this.#stale = false;
        const { drawing, chosen } = this;
        this.image = await this.generator.translate(drawing.image(), { hints: drawing.dots, ...chosen });
        draw(element("made"), this.image);
      }
    } finally {
      this.#working = false;
    }
    element("made").setAttribute("aria-busy", "false");
    this.dispatchEvent(new Event("made"));
  }

  /** The image of the drawing as it is now. */
  async settled() {
    if (this.#working) await new Promise((done) => this.addEventListener("made", done, { once: true }));
    return /** @type {ImageData} */ (this.image);
  }

  /** A PNG file of it that says how it was made, as genclient's do. */
  async file() {
    const image = await this.settled();
    const { name, version, channels, latentSize, classNames } = this.generator.info;
    const text = { model: name, version: String(version) };
    if (latentSize) Object.assign(text, { seed: String(this.chosen.seed) });
    if (classNames.length) Object.assign(text, { label: String(this.chosen.label) });
    return encodePng(image, channels, text);
  }
}

/**
 * Which of several answers, and of which class, where the model has some.
 *
 * @param {Generator} generator
 * @param {Translation} translation
 */
function mountChoices({ info }, translation) {
  element("another").hidden = !info.latentSize;
  const show = seedField("answer", (seed) => translation.choose({ seed }));
  show(translation.chosen.seed);
  element("other").addEventListener("click", () => {
    translation.choose({ seed: randomSeed() });
    show(translation.chosen.seed);
  });
  element("of-class").hidden = !info.classNames.length;
  const classes = element("made-class");
  classes.append(...info.classNames.map((name, i) => make("option", { value: String(i) }, name)));
  classes.addEventListener("change", () => translation.choose({ label: Number(classes.value) }));
}

/** @param {Translation} translation */
function mountTaking(translation) {
  const name = `${translation.generator.info.name}-translated.png`;
  element("save-made").addEventListener("click", async () => {
    download(await translation.file(), name);
    say(`Saved ${name}`);
  });
  element("copy-made").addEventListener("click", async () => {
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": translation.file() })]);
      say("Copied the picture");
    } catch {
      say("This browser does not let a page copy pictures here: save it instead"); // outside https and localhost, or refused
    }
  });
}
