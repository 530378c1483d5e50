/**
 * A picture becomes another, or begins to move: what is drawn or opened on the left, what the model makes of it on the
 * right. While something is drawn, the newest state is translated in turn, so the model never works on what nobody will see.
 */

import { encodePng } from "../png.js";
import { randomSeed, seedField } from "./controls.js";
import { Drawing } from "./drawing.js";
import { download, draw, element, make, say } from "./elements.js";
import { mountOpening } from "./opening.js";
import { Player } from "./player.js";
import { encoded } from "./saving.js";
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
  element("made").after(element("player"));
  const translation = new Translation(generator, drawing, new Player(info));
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
  /** An image, or the frames of a clip. @type {ImageData[]} */
  frames = [];
  /** @type {{seed: bigint, label: number}} */
  chosen = { seed: 0n, label: 0 };
  #working = false;
  #stale = false;

  /**
   * @param {Generator} generator
   * @param {Drawing} drawing
   * @param {Player} player
   */
  constructor(generator, drawing, player) {
    super();
    this.generator = generator;
    this.drawing = drawing;
    this.player = player;
    player.addEventListener("frame", () => this.#show());
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
        this.frames = await this.generator.animate(drawing.image(), { hints: drawing.dots, ...chosen });
        this.#show();
      }
    } finally {
      this.#working = false;
    }
    element("made").setAttribute("aria-busy", "false");
    this.dispatchEvent(new Event("made"));
  }

  #show() {
    const frame = this.frames[this.player.frame];
    if (frame) draw(element("made"), frame);
  }

  /** When what is shown is made of the drawing as it is now. */
  async settled() {
    if (this.#working) await new Promise((done) => this.addEventListener("made", done, { once: true }));
  }

  /** A PNG file of it that says how it was made, as genclient's do; of a clip an animated one. */
  async file() {
    await this.settled();
    return encoded(this.frames, this.generator.info, this.#described());
  }

  /** A PNG file of the image, of a clip the frame that is seen. */
  async still() {
    await this.settled();
    return encodePng(this.frames[this.player.frame], this.generator.info.channels, this.#described());
  }

  #described() {
    const { name, version, latentSize, classNames } = this.generator.info;
    const text = { model: name, version: String(version) };
    if (latentSize) Object.assign(text, { seed: String(this.chosen.seed) });
    if (classNames.length) Object.assign(text, { label: String(this.chosen.label) });
    return text;
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
  const { name: model, frameCount } = translation.generator.info;
  const name = `${model}-${frameCount ? "animated" : "translated"}.png`;
  if (frameCount) {
    element("output-title").textContent = "Animated";
    element("save-made").textContent = "Save clip";
    element("copy-made").textContent = "Copy frame";
  }
  element("save-made").addEventListener("click", async () => {
    download(await translation.file(), name);
    say(`Saved ${name}${frameCount ? ", an animated PNG" : ""}`);
  });
  element("copy-made").addEventListener("click", async () => {
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": translation.still() })]);
      say("Copied the picture");
    } catch {
      say("This browser does not let a page copy pictures here: save it instead"); // outside https and localhost, or refused
    }
  });
}
