/** What the user has made: a picture, strokes over it, and dots of colour; each step can be undone. No element is touched. */

import { RADIUS } from "../dots.js";
import { opaque, prepared, seen } from "../pictures.js";

/** The longer side of the canvas that is drawn on, about: several pixels for one of the model's, as a pen needs. */
const SIDE = 512;

/**
 * @typedef {[number, number]} Point in pixels of the model.
 * @typedef {{kind: "picture", image: ImageData}} PictureStep
 * @typedef {{kind: "stroke", points: Point[], width: number, colour: string | null}} StrokeStep null: the eraser.
 * @typedef {{kind: "dot", x: number, y: number, colour: string}} DotStep
 * @typedef {{shown: HTMLCanvasElement, small: ImageData}} Opened as it is drawn on, and as the model takes it.
 * @typedef {PictureStep | StrokeStep | DotStep | {kind: "clear"}} Step
 */

export class Drawing extends EventTarget {
  /** @type {Step[]} */
  #steps = [];
  #context;
  #background;
  /** Of each picture, which may be large, what is needed of it again and again. @type {WeakMap<ImageData, Opened>} */
  #opened = new WeakMap();
  /** @type {import("../dots.js").Dot[]} */
  dots = [];

  /** @param {import("../generator.js").Picture} picture what the model takes. */
  constructor(picture) {
    super();
    this.picture = picture;
    this.scale = Math.max(1, Math.round(SIDE / Math.max(picture.width, picture.height)));
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.scale * picture.width;
    this.canvas.height = this.scale * picture.height;
    this.#context = /** @type {CanvasRenderingContext2D} */ (
      this.canvas.getContext("2d", { willReadFrequently: true })
    );
    this.#background = picture.preprocessing?.background ?? "white";
    this.#render();
  }

  /** Whether there is nothing: no picture, no stroke, no dot. */
  get empty() {
    return this.#shown().length === 0;
  }

  /** Whether there is something to undo. */
  get begun() {
    return this.#steps.length > 0;
  }

  /** @param {Step} step */
  add(step) {
    this.#steps.push(step);
    this.#render();
  }

  /**
   * The last stroke goes on.
   *
   * @param {Point} point
   */
  extend(point) {
    const last = this.#steps.at(-1);
    if (last?.kind !== "stroke") return;
    last.points.push(point);
    this.#render();
  }

  undo() {
    this.#steps.pop();
    this.#render();
  }

  /** What the model is to see: of a picture that nothing was drawn on all its pixels, brought to size as they came. */
  image() {
    const shown = this.#shown().filter(({ kind }) => kind !== "dot");
    if (shown.length === 1 && shown[0].kind === "picture") return this.#open(shown[0].image).small;
    return this.#context.getImageData(0, 0, this.canvas.width, this.canvas.height);
  }

  /** The steps since all was cleared or covered. */
  #shown() {
    const start = this.#steps.findLastIndex(({ kind }) => kind === "picture" || kind === "clear");
    return this.#steps.slice(Math.max(0, start)).filter(({ kind }) => kind !== "clear");
  }

  #render() {
    const { width, height } = this.canvas;
    this.#context.fillStyle = this.#background;
    this.#context.fillRect(0, 0, width, height);
    this.dots = [];
    for (const step of this.#shown()) {
      if (step.kind === "picture") this.#context.drawImage(this.#open(step.image).shown, 0, 0);
      if (step.kind === "stroke") this.#stroke(step);
      if (step.kind === "dot") this.dots.push(step);
    }
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {ImageData} image
   * @returns {Opened}
   */
  #open(image) {
    const known = this.#opened.get(image);
    if (known) return known;
    const small = opaque(prepared(image, this.picture), this.picture);
    const made = { shown: this.#enlarged(image), small: new ImageData(small, this.picture.width) };
    this.#opened.set(image, made);
    return made;
  }

  /**
   * The part of a picture that the model sees, as large as it is drawn on.
   *
   * @param {ImageData} image
   */
  #enlarged(image) {
    const [whole, shown] = [document.createElement("canvas"), document.createElement("canvas")];
    [whole.width, whole.height] = [image.width, image.height];
    whole.getContext("2d")?.putImageData(image, 0, 0);
    [shown.width, shown.height] = [this.canvas.width, this.canvas.height];
    const { x, y, width, height } = seen(image, this.picture);
    const [wide, high] = [shown.width / width, shown.height / height];
    const context = /** @type {CanvasRenderingContext2D} */ (shown.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, -x * wide, -y * high, image.width * wide, image.height * high);
    return shown;
  }

  /** @param {StrokeStep} stroke */
  #stroke({ points, width, colour }) {
    const context = this.#context;
    context.strokeStyle = colour ?? this.#background;
    context.lineWidth = width * this.scale;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    const [first, ...rest] = points.map(([x, y]) => [x * this.scale, y * this.scale]);
    context.moveTo(first[0], first[1]);
    // A tap is a point; a line without length would not be drawn.
    for (const [x, y] of rest.length ? rest : [[first[0] + 0.01, first[1]]]) context.lineTo(x, y);
    context.stroke();
    if (colour === null) this.dots = this.dots.filter((dot) => !points.some((point) => touches(point, width, dot)));
  }
}

/**
 * @param {Point} point
 * @param {number} width of the eraser.
 * @param {import("../dots.js").Dot} dot
 */
function touches([x, y], width, dot) {
  return Math.hypot(x - dot.x - 0.5, y - dot.y - 0.5) <= width / 2 + RADIUS + 0.5;
}
