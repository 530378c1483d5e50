/**
 * Two seeds turning into each other and back, along the sphere between their latents. Played only on request; where
 * the system asks for less motion, in still steps of a second. Clips go on playing on the way.
 */

import { slerp, truncate } from "../latents.js";
import { labelOf, latentsFrom, move } from "./state.js";
import { draw, download, element, say } from "./elements.js";
import { encodeAnimation } from "../png.js";
import { seedField } from "./controls.js";
import { described } from "./saving.js";

/**
 * @typedef {import("../generator.js").Generator} Generator
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./player.js").Player} Player
 */

/** From the first image to the second at speed 1. */
const SECONDS = 3;
/** Pictures on that way in a saved file; of clips as many as they have in that time. */
const FRAMES = 24;
/** Pictures on that way for who wants less motion, and seconds for each. */
const STILLS = 8;
const STILL_SECONDS = 1;

export class Morph {
  #playing = false;
  /** Where the way is, in passes: 0 to 1 there, 1 to 2 back. */
  #phase = 0;
  #last = 0;
  #drawing = false;
  #dirty = false;
  #shown = "";
  /** What is made of where the way is. @type {ImageData[]} */
  #frames = [];
  #reduced = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {Generator} generator
   * @param {Store} store
   * @param {Player} player
   */
  constructor(generator, store, player) {
    this.generator = generator;
    this.store = store;
    this.player = player;
    player.addEventListener("frame", () => this.#show());
    const showFrom = seedField("from", (from) => store.update({ from }));
    const showTo = seedField("to", (to) => store.update({ to }));
    store.addEventListener("change", () => {
      showFrom(store.state.from);
      showTo(store.state.to);
      this.refresh();
    });
    element("position").addEventListener("input", () => {
      this.play(false);
      this.#phase = Number(element("position").value);
      this.#draw();
    });
    element("speed").addEventListener("input", () => this.#showSpeed());
    element("play").addEventListener("click", () => this.play(!this.#playing));
    element("save-morph").addEventListener("click", () => this.#save());
    showFrom(store.state.from);
    showTo(store.state.to);
    this.#showSpeed();
    this.refresh();
  }

  /** Draw anew if what is shown depends on what has changed. */
  refresh() {
    const { from, to, truncation, label, text, amounts, own } = this.store.state;
    const shown = [from, to, truncation, label, text, ...amounts, own?.seed, own?.latents].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#draw();
  }

  /** @param {boolean} playing */
  play(playing) {
    if (playing === this.#playing) return;
    this.#playing = playing;
    element("play").textContent = playing ? "Pause" : "Play";
    say(playing ? "Playing" : "Paused", false);
    this.#last = performance.now();
    if (playing) requestAnimationFrame((now) => this.#tick(now));
  }

  /** @param {number} now */
  #tick(now) {
    if (!this.#playing) return;
    const still = this.#reduced.matches;
    const pass = (still ? STILLS * STILL_SECONDS : SECONDS) / this.#speed();
    const passes = Math.max(0, now - this.#last) / 1000 / pass;
    if (!still || passes >= 1 / STILLS) {
      this.#phase = (this.#phase + (still ? 1 / STILLS : passes)) % 2;
      this.#last = now;
      this.#draw();
    }
    requestAnimationFrame((next) => this.#tick(next));
  }

  /** From 0 to 1: there and back. */
  #position() {
    return this.#phase <= 1 ? this.#phase : 2 - this.#phase;
  }

  #speed() {
    return 2 ** Number(element("speed").value);
  }

  #showSpeed() {
    element("speed-value").value = `${this.#speed().toLocaleString("en", { maximumFractionDigits: 2 })}×`;
  }

  async #draw() {
    this.#dirty = true;
    if (this.#drawing) return;
    this.#drawing = true;
    try {
      while (this.#dirty) {
        this.#dirty = false;
        await this.#drawOne();
      }
    } catch (error) {
      this.play(false);
      throw error;
    } finally {
      this.#drawing = false;
    }
  }

  async #drawOne() {
    const position = this.#position();
    element("position").value = String(position);
    element("position-value").value = `${Math.round(100 * position)} %`;
    this.#frames = await this.#clip(position, this.store.state);
    this.#show();
    element("morph-canvas").dataset.position = String(position);
  }

  #show() {
    const frame = this.#frames[this.player.frame];
    if (frame) draw(element("morph-canvas"), frame);
  }

  /**
   * The image or clip at a place on the way, 0 to 1; its class is that of the nearer end.
   *
   * @param {number} position
   * @param {import("./state.js").State} state
   */
  #clip(position, state) {
    const { info } = this.generator;
    const ends = [state.from, state.to].map((seed) => latentsFrom(seed, state, info));
    const [from, to] = ends.map((latents) => truncate(latents, state.truncation));
    const label = labelOf(position < 0.5 ? state.from : state.to, state, info);
    return this.generator.runClip(move(slerp(from, to, position), state, info), label, state.text);
  }

  /** There and back as a file that plays in every browser, at the speed that is set. */
  async #save() {
    const { state } = this.store;
    const { info } = this.generator;
    const button = element("save-morph");
    button.disabled = true;
    try {
      const seconds = SECONDS / this.#speed();
      const steps = info.frameCount ? Math.max(1, Math.round(seconds * info.framesPerSecond)) : FRAMES;
      const there = [];
      for (let i = 0; i <= steps; i += 1) there.push(await this.#clip(i / steps, state));
      const way = [...there, ...there.slice(1, -1).reverse()].map((frames, i) => frames[i % frames.length]);
      const text = { ...described(state, info), seeds: `${state.from},${state.to}` };
      const file = await encodeAnimation(way, info.channels, seconds / steps, text);
      const name = `${info.name}-morph${state.from}-${state.to}.png`;
      download(file, name);
      say(`Saved ${name}, an animated PNG`);
    } finally {
      button.disabled = false;
    }
  }
}
