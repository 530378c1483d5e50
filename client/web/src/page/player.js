/**
 * Which frame of the clips is seen: they play at their own rate, pause, and go to the frame that a slider says. Where the
 * system asks for less motion they wait to be played. Of images there is one frame, and no controls.
 */

import { element, say } from "./elements.js";

export class Player extends EventTarget {
  /** The frame that is seen, from 0. */
  frame = 0;
  #playing = false;
  /** When the first frame was seen, or would have been, by the clock of animation frames. */
  #start = 0;

  /** @param {import("../generator.js").Info} info */
  constructor({ frameCount, framesPerSecond }) {
    super();
    this.count = Math.max(1, frameCount);
    this.framesPerSecond = framesPerSecond;
    element("player").hidden = frameCount < 2;
    if (frameCount < 2) return;
    const slider = element("frame");
    slider.max = String(this.count);
    slider.addEventListener("input", () => {
      this.play(false);
      this.#show(Number(slider.value) - 1);
    });
    element("play-clip").addEventListener("click", () => {
      this.play(!this.#playing);
      say(this.#playing ? "Playing" : "Paused", false);
    });
    this.#show(0);
    this.play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  /** @param {boolean} playing */
  play(playing) {
    element("play-clip").textContent = playing ? "Pause" : "Play";
    if (playing === this.#playing) return;
    this.#playing = playing;
    if (!playing) return;
    this.#start = performance.now() - (1000 * this.frame) / this.framesPerSecond;
    requestAnimationFrame((now) => this.#tick(now));
  }

  /** @param {number} now */
  #tick(now) {
    if (!this.#playing) return;
    const passed = Math.max(0, now - this.#start) / 1000;
    const frame = Math.floor(passed * this.framesPerSecond + 1e-6) % this.count;
    if (frame !== this.frame) this.#show(frame);
    requestAnimationFrame((next) => this.#tick(next));
  }

  /** @param {number} frame */
  #show(frame) {
    this.frame = frame;
    element("frame").value = String(frame + 1);
    element("frame-value").value = `${frame + 1} of ${this.count}`;
    this.dispatchEvent(new Event("frame"));
  }
}
