/**
 * The sheet of samples: 16 images, one of them picked. While something moves, images are made anew in turn, each with
 * the newest state, so none waits for the others and the model never works on what nobody will see.
 */

import { COLUMNS, labelOf, latentsAt, SHEET, sheetOf } from "./state.js";
import { draw, element, make } from "./elements.js";

/**
 * @typedef {import("../generator.js").Generator} Generator
 * @typedef {import("./state.js").Store} Store
 */

/** Keys that move on the sheet, and how far. @type {Record<string, number>} */
const MOVES = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS, Home: -SHEET, End: SHEET };

export class Sheet extends EventTarget {
  /** @type {(ImageData | undefined)[]} the images as they are now, by place. */
  images = Array(SHEET).fill(undefined);
  #root = element("sheet");
  /** @type {any[]} */
  #cells;
  /** @type {number[]} the version of the state that each image was made with. */
  #made = Array(SHEET).fill(0);
  #version = 0;
  #shown = "";
  #working = false;
  #next = 0;

  /**
   * @param {Generator} generator
   * @param {Store} store
   */
  constructor(generator, store) {
    super();
    this.generator = generator;
    this.store = store;
    const { width, height } = generator.info;
    this.#cells = Array.from({ length: SHEET }, () =>
      make("div", { role: "gridcell" }, make("canvas", { width, height, role: "img" })),
    );
    for (let row = 0; row < SHEET; row += COLUMNS) {
      this.#root.append(make("div", { role: "row" }, ...this.#cells.slice(row, row + COLUMNS)));
    }
    this.#cells.forEach((cell, place) => {
      cell.addEventListener("click", () => this.pick(place));
      cell.addEventListener("dblclick", () => this.dispatchEvent(new Event("opened")));
    });
    this.#root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#onKey(event));
    store.addEventListener("change", () => this.refresh());
  }

  /** Show the state: what depends on it is made anew. */
  refresh() {
    const { seed, pick, truncation, label, amounts } = this.store.state;
    this.#cells.forEach((cell, place) => {
      cell.tabIndex = place === pick ? 0 : -1;
      cell.setAttribute("aria-selected", String(place === pick));
      cell.firstChild.setAttribute("aria-label", this.title(place));
    });
    const shown = [seed, truncation, label, ...amounts].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#version += 1;
    this.#work();
  }

  /**
   * When every image is of the state as it is now.
   *
   * @returns {Promise<void>}
   */
  async settled() {
    if (this.#working) await new Promise((done) => this.addEventListener("rendered", done, { once: true }));
  }

  /** @param {number} place */
  title(place) {
    const { classNames } = this.generator.info;
    const seed = this.store.state.seed + BigInt(place);
    const name = classNames[labelOf(seed, this.store.state, this.generator.info)];
    return `Seed ${seed}${name === undefined ? "" : `, class ${name}`}`;
  }

  async #work() {
    if (this.#working) return;
    this.#working = true;
    this.#root.setAttribute("aria-busy", "true");
    try {
      for (let place = this.#stale(); place >= 0; place = this.#stale()) await this.#render(place);
    } finally {
      this.#working = false;
    }
    this.#root.setAttribute("aria-busy", "false");
    this.dispatchEvent(new Event("rendered"));
  }

  /** The next place in turn whose image is not of the newest state; -1 if there is none. */
  #stale() {
    for (let i = 0; i < SHEET; i += 1) {
      const place = (this.#next + i) % SHEET;
      if (this.#made[place] !== this.#version) return place;
    }
    return -1;
  }

  /** @param {number} place */
  async #render(place) {
    const { state } = this.store;
    const { info } = this.generator;
    const version = this.#version;
    const seed = state.seed + BigInt(place);
    const image = await this.generator.run(latentsAt(seed, state, info), labelOf(seed, state, info));
    this.#made[place] = version;
    this.#next = (place + 1) % SHEET;
    this.images[place] = image;
    draw(this.#cells[place].firstChild, image);
    if (place === this.store.state.pick) this.dispatchEvent(new Event("picked"));
  }

  /** @param {number} place */
  pick(place) {
    this.store.update({ pick: place });
    this.#cells[place].focus();
    this.dispatchEvent(new Event("picked"));
  }

  /**
   * The sheet before (-1) or after (1) this one.
   *
   * @param {number} direction
   */
  turn(direction) {
    const { seed, pick } = this.store.state;
    this.store.update({ seed: sheetOf(seed + BigInt(direction * SHEET)).seed, pick });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { pick } = this.store.state;
    if (event.key === "PageUp" || event.key === "PageDown") this.turn(event.key === "PageUp" ? -1 : 1);
    else if (event.key in MOVES) this.pick(moved(pick, MOVES[event.key]));
    else if (event.key === "Enter") this.dispatchEvent(new Event("opened"));
    else return;
    event.preventDefault();
  }
}

/**
 * A step on the sheet; up and down stay in their column.
 *
 * @param {number} place
 * @param {number} step
 */
function moved(place, step) {
  const to = place + step;
  if (Math.abs(step) === COLUMNS) return to < 0 || to >= SHEET ? place : to;
  return Math.min(SHEET - 1, Math.max(0, to));
}
