/**
 * Two seeds turning into each other and back, along the sphere between their latents. Played only when asked to; where
 * the system asks for less motion, in still steps of a second.
 */

import { latentsOfSeed, slerp, truncate } from "../latents.js";
import { labelAt, move } from "./state.js";
import { draw, element, say } from "./elements.js";
import { seedField } from "./controls.js";

/**
 * @typedef {import("../generator.js").Generator} Generator
 * @typedef {import("./state.js").Store} Store
 */

/** From the first image to the second at speed 1. */
const SECONDS = 3;
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
  #reduced = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param {Generator} generator
   * @param {Store} store
   */
  constructor(generator, store) {
    this.generator = generator;
    this.store = store;
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
    showFrom(store.state.from);
    showTo(store.state.to);
    this.#showSpeed();
    this.refresh();
  }

  /** Draw anew if what is shown depends on what has changed. */
  refresh() {
    const { from, to, truncation, amounts } = this.store.state;
    const shown = [from, to, truncation, this.#label(), ...amounts].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#draw();
  }

  /** @param {boolean} playing */
  play(playing) {
    if (playing === this.#playing) return;
    this.#playing = playing;
    element("play").textContent = playing ? "Pause" : "Play";
    say(playing ? "Playing" : "Paused");
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

  /** The class of the picked image. */
  #label() {
    return Math.max(0, labelAt(this.store.state, this.generator.info, this.store.state.pick));
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
    const { state } = this.store;
    const { info } = this.generator;
    const ends = [state.from, state.to].map((seed) => latentsOfSeed(seed, info.latentSize));
    const [from, to] = ends.map((latents) => truncate(latents, state.truncation));
    const image = await this.generator.run(move(slerp(from, to, position), state, info), this.#label());
    draw(element("morph-canvas"), image);
    element("morph-canvas").dataset.position = String(position);
  }
}
