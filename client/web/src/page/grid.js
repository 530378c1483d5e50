/**
 * The grid of samples, images or clips that play together, one of them picked. While something moves, images are made anew in turn, each with
 * the newest state, so none waits for the others and the model never works on what nobody will see.
 */

import { columnsOf, gridAt, labelOf, latentsAt } from "./state.js";
import { draw, element, make } from "./elements.js";

/**
 * @typedef {import("../generator.js").Generator} Generator
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./player.js").Player} Player
 */

export class Grid extends EventTarget {
  /** @type {(ImageData[] | undefined)[]} the frames of each, by place; an image has one. */
  clips = [];
  #root = element("grid");
  /** @type {any[]} */
  #cells = [];
  /** @type {number[]} the version of the state that each image was made with. */
  #made = [];
  #version = 0;
  #shown = "";
  #working = false;
  #next = 0;

  /**
   * @param {Generator} generator
   * @param {Store} store
   * @param {Player} player
   */
  constructor(generator, store, player) {
    super();
    this.generator = generator;
    this.store = store;
    this.player = player;
    this.#root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#onKey(event));
    store.addEventListener("change", () => this.refresh());
    player.addEventListener("frame", () => this.#cells.forEach((_, place) => this.#show(place)));
  }

  /**
   * The image at a place, of a clip the frame that is seen now; undefined before it is made.
   *
   * @param {number} place
   */
  image(place) {
    return this.clips[place]?.[this.player.frame];
  }

  /** @param {number} count */
  #lay(count) {
    const { width, height } = this.generator.info;
    const columns = columnsOf(count);
    this.clips = Array(count).fill(undefined);
    this.#made = Array(count).fill(0);
    this.#next = 0;
    this.#cells = Array.from({ length: count }, (_, place) => {
      const cell = make("div", { role: "gridcell" }, make("canvas", { width, height, role: "img" }));
      cell.addEventListener("click", () => this.pick(place));
      cell.addEventListener("dblclick", () => this.dispatchEvent(new Event("opened")));
      return cell;
    });
    const rows = Array.from({ length: count / columns }, (_, row) =>
      make("div", { role: "row" }, ...this.#cells.slice(row * columns, (row + 1) * columns)),
    );
    this.#root.replaceChildren(...rows);
    this.#root.dataset.columns = String(columns);
  }

  /** Show the state: what depends on it is made anew. */
  refresh() {
    const { seed, count, pick, truncation, label, text, amounts, own } = this.store.state;
    if (count !== this.#cells.length) this.#lay(count);
    this.#cells.forEach((cell, place) => {
      cell.tabIndex = place === pick ? 0 : -1;
      cell.setAttribute("aria-selected", String(place === pick));
      cell.firstChild.setAttribute("aria-label", this.title(place));
    });
    const shown = [seed, count, truncation, label, text, ...amounts, own?.seed, own?.latents].join();
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
    const { own } = this.store.state;
    const seed = this.store.state.seed + BigInt(place);
    const name = classNames[labelOf(seed, this.store.state, this.generator.info)];
    return `${own?.seed === seed ? own.name : `Seed ${seed}`}${name === undefined ? "" : `, class ${name}`}`;
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
    for (let i = 0; i < this.#cells.length; i += 1) {
      const place = (this.#next + i) % this.#cells.length;
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
    const frames = await this.generator.runClip(latentsAt(seed, state, info), labelOf(seed, state, info), state.text);
    if (place >= this.#cells.length) return; // fewer are shown by now
    this.#made[place] = version;
    this.#next = place + 1;
    this.clips[place] = frames;
    this.#show(place);
  }

  /** @param {number} place */
  #show(place) {
    const image = this.image(place);
    if (!image) return;
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
   * The grid before (-1) or after (1) this one.
   *
   * @param {number} direction
   */
  turn(direction) {
    const { seed, count } = this.store.state;
    this.store.update({ seed: gridAt(seed + BigInt(direction * count), count).seed });
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { pick, count } = this.store.state;
    const to = moved(event.key, pick, count);
    if (event.key === "PageUp" || event.key === "PageDown") this.turn(event.key === "PageUp" ? -1 : 1);
    else if (to !== undefined) this.pick(to);
    else if (event.key === "Enter") this.dispatchEvent(new Event("opened"));
    else return;
    event.preventDefault();
  }
}

/**
 * Where a key leads in the grid; up and down stay in their column. Undefined for other keys.
 *
 * @param {string} key
 * @param {number} place
 * @param {number} count
 */
function moved(key, place, count) {
  const columns = columnsOf(count);
  /** @type {Record<string, number>} */
  const ways = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: count - 1 };
  /** @type {Record<string, number>} */
  const steps = { ArrowUp: place - columns, ArrowDown: place + columns };
  if (key in steps) return steps[key] < 0 || steps[key] >= count ? place : steps[key];
  return key in ways ? Math.min(count - 1, Math.max(0, ways[key])) : undefined;
}
