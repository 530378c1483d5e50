/**
 * A generator in the browser, of images or clips, from seeds or from pictures, or a detector of such images: what the page is built on, and the module
 * `genline.js` for pages of one's own.
 *
 *     const generator = await Generator.load("./digits/");
 *     canvas.getContext("2d").putImageData(await generator.image(7), 0, 0);
 *
 * The model runs in a worker, so a page stays responsive. Nothing is drawn here.
 */

import { ofPage } from "./backgrounds.js";
import { hintsOf } from "./dots.js";
import { classOfSeed, latentsOfSeed, truncate } from "./latents.js";
import { prepared } from "./pictures.js";
import { Words } from "./words.js";

export { classOfSeed, latentsOfSeed, LEAST_SEED, MOST_SEED, moveAlong, parseSeed, slerp, truncate } from "./latents.js";
export { prepared } from "./pictures.js";
export { Words } from "./words.js";
export { encodeAnimation, encodePng, enlarge, tile } from "./png.js";

/**
 * @typedef {"auto" | "wasm" | "webgpu"} Accelerator
 *
 * @typedef {object} ModelFile
 * @property {string} file its name.
 * @property {number} bytes
 * @property {string} sha256
 * @property {string} kind float32, float16, dynamic or int8.
 * @property {string} [licence] of the data that the generator was trained on, where it was stated.
 *
 * @typedef {object} Info
 * @property {string} name
 * @property {number} version
 * @property {ModelFile} model
 * @property {number} runtimeBytes what the runtime takes to load.
 * @property {number} latentSize Z; 0 where it takes no latents.
 * @property {number} width
 * @property {number} height
 * @property {number} channels 1, 3 or 4.
 * @property {number} frameCount frames of a clip; 0 where it makes images.
 * @property {number} framesPerSecond of clips.
 * @property {ModelFile & {preprocessing: Record<string, string>}} [encoder] the way back, from a picture to latents: its
 *     file, and how pictures are brought to size.
 * @property {Detector} [detector] of what it is where it makes nothing, but has scores for pictures.
 * @property {Picture} [picture] what it makes images of, where it takes pictures.
 * @property {string[]} classNames one a class; empty where the generator is not conditional.
 * @property {import("./words.js").Described & {length: number}} [words] that it knows, and how many of a text it hears,
 *     where it takes words.
 * @property {number} [truncationAtMost] the greatest truncation that the file's integers hold images of.
 * @property {{strength: number, latents: number[], class?: string}[]} directions the strongest first, then those of classes; of
 *     unit length.
 *
 * @typedef {import("./pictures.js").Frame & {hints: boolean}} Picture its size, how pictures are brought to it, and whether
 *     dots of colour may be given.
 *
 * @typedef {{threshold: number, falseAlarms?: number, within?: [number, number], preprocessing: Record<string, string>}} Detector
 *     below the threshold a picture is called generated, and so is this share of real ones, within these bounds.
 *
 * @typedef {{resolve: (answer: any) => void, reject: (error: Error) => void, onBytes?: (bytes: number) => void}} Pending
 *
 * @typedef {(share: number) => void} OnProgress called with the share of the bytes that have arrived, from 0 to 1.
 */

const ACCELERATORS = ["auto", "wasm", "webgpu"];
/** Of clips, where nobody says otherwise. */
const FRAMES_PER_SECOND = 12;
/** How many timings the median is taken over. */
const TIMINGS = 65;

/** What goes wrong between a page and its generator, in words for the page's user. */
export class GeneratorError extends Error {
  name = "GeneratorError";
}

export class Generator {
  /** @type {Worker} */
  #worker;
  /** @type {Map<number, Pending>} */
  #waiting = new Map();
  #requests = 0;
  /** @type {Error | undefined} why there will be no more answers. */
  #ended;
  /** @type {number[]} */
  #milliseconds = [];
  /** @type {Words | undefined} */
  #words;
  #folder = "";

  /**
   * Use `Generator.load`.
   *
   * @param {Info} info
   * @param {Worker} worker
   */
  constructor(info, worker) {
    /** @type {Info} what the generator is and takes. */
    this.info = info;
    this.#words = info.words && new Words(info.words);
    /** @type {"wasm" | "webgpu"} what the last image was made with. */
    this.accelerator = "wasm";
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault();
      const reason = event.message ?? "genline-worker.js does not load";
      this.#fail(new GeneratorError(`the generator's worker failed: ${reason}`));
    };
  }

  /**
   * Load the generator in a folder that `make web` built.
   *
   * @param {string | URL} [folder] relative to the document; of the document's own origin, as workers must be.
   * @param {{onProgress?: OnProgress, accelerator?: string}} [options] `accelerator`: "wasm" for the processor, "webgpu"
   *     for the graphics card; "auto" takes the card where the processor is slow and the card faster. Whatever is requested
   *     for, a card that is missing, fails or makes other images leaves the processor to it.
   * @returns {Promise<Generator>}
   * @throws {GeneratorError} a file is missing or damaged, or this browser cannot run it.
   * @throws {RangeError} there is no such accelerator.
   */
  static async load(folder = "./", { onProgress, accelerator = "auto" } = {}) {
    if (!ACCELERATORS.includes(accelerator)) {
      throw new RangeError(`accelerator: found “${accelerator}”, expected ${ACCELERATORS.join(", ")}`);
    }
    const base = new URL(folder, document.baseURI);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    if (base.origin !== location.origin) {
      throw new GeneratorError(
        `folder: found ${base.origin}, expected ${location.origin}, as workers must be from there`,
      );
    }
    const info = await fetchInfo(new URL("model.json", base));
    const generator = new Generator(info, new Worker(new URL("genline-worker.js", base)));
    try {
      await generator.#start(base.href, accelerator, onProgress);
    } catch (error) {
      generator.close();
      throw error;
    }
    return generator;
  }

  /**
   * @param {string} folder
   * @param {string} accelerator
   * @param {OnProgress} [onProgress]
   */
  async #start(folder, accelerator, onProgress) {
    this.#folder = folder;
    const expected = this.info.model.bytes + this.info.runtimeBytes;
    let arrived = 0;
    const onBytes = (/** @type {number} */ bytes) => onProgress?.(Math.min(1, (arrived += bytes) / expected));
    const found = await this.#send({ load: { folder, accelerator, model: this.info.model, judges: this.info.detector !== undefined } }, onBytes);
    const described = this.info.classNames.length > 0;
    const { latentSize, words } = this.info;
    const fits = found.latentSize === latentSize && found.conditional === described;
    if (!fits || found.tokenCount !== (words?.length ?? 0)) {
      throw new GeneratorError(`${this.info.model.file} does not fit model.json: found ${JSON.stringify(found)}`);
    }
    const preprocessing = ofPage(this.info.picture?.preprocessing);
    const picture = found.picture && { ...found.picture, preprocessing };
    const { width, height, channels, frameCount } = found;
    const { framesPerSecond = FRAMES_PER_SECOND, detector } = this.info;
    if (detector) detector.preprocessing = ofPage(detector.preprocessing);
    Object.assign(this.info, { width, height, channels, frameCount, framesPerSecond, picture });
  }

  /**
   * The image of a seed: the same as from every server and device.
   *
   * @param {bigint | number | string} seed a whole number of 64 bits, signed.
   * @param {{truncation?: number, label?: number, text?: string}} [options] ψ scales the latents; the class, where there
   *     are some: the seed modulo their number if left out; what is to be seen, where the model takes words.
   * @returns {Promise<ImageData>}
   * @throws {RangeError} the seed or the label is out of its range, the text is for another model, or it makes clips.
   * @throws {GeneratorError} the model failed to run.
   */
  async image(seed, options = {}) {
    return this.#single(() => this.clip(seed, options));
  }

  /**
   * The same of a generator of clips: all its frames; of one of images, that image alone.
   *
   * @param {bigint | number | string} seed
   * @param {{truncation?: number, label?: number, text?: string}} [options]
   * @returns {Promise<ImageData[]>}
   * @throws {RangeError} as `image`.
   * @throws {GeneratorError} the model failed to run.
   */
  async clip(seed, { truncation = 1, label = classOfSeed(seed, this.info.classNames.length), text = "" } = {}) {
    return this.runClip(truncate(latentsOfSeed(seed, this.info.latentSize), truncation), label, text);
  }

  /**
   * The image of latents.
   *
   * @param {Float32Array} latents of shape (Z,).
   * @param {number} [label] the class, where there are some: 0 if left out.
   * @param {string} [text] what is to be seen, where the model takes words; none: whatever it likes.
   * @returns {Promise<ImageData>}
   * @throws {RangeError} the latents, the label or the text do not fit the generator, or it makes clips.
   * @throws {GeneratorError} the model failed to run.
   */
  async run(latents, label = 0, text = "") {
    return this.#single(() => this.runClip(latents, label, text));
  }

  /**
   * The same of a generator of clips, as `clip` is to `image`.
   *
   * @param {Float32Array} latents
   * @param {number} [label]
   * @param {string} [text]
   * @returns {Promise<ImageData[]>}
   * @throws {RangeError} as `run`.
   * @throws {GeneratorError} the model failed to run.
   */
  async runClip(latents, label = 0, text = "") {
    const { latentSize, picture, detector } = this.info;
    if (detector) throw new RangeError("this is a detector: it makes no images");
    if (picture) throw new RangeError("image: found none, expected a picture: this generator translates");
    if (latents.length !== latentSize) throw new RangeError(`latents: found ${latents.length}, expected ${latentSize}`);
    return this.#make({ latents, ...this.#labels(label), ...this.#tokens(text) });
  }

  /**
   * The latents, and the class, that a picture is drawn of; the file for it is fetched when it is first needed.
   *
   * @param {ImageData} image of any size: it is brought to the model's as training did.
   * @returns {Promise<{latents: Float32Array, label: number}>} the class is 0 where there are none.
   * @throws {RangeError} the page was built without an encoder.
   * @throws {GeneratorError} the encoder failed to load or to run.
   */
  async invert(image) {
    const { encoder, width, height, channels, latentSize } = this.info;
    if (!encoder) throw new RangeError("image: found one, expected none: this generator has no encoder");
    const frame = { width, height, channels, preprocessing: ofPage(encoder.preprocessing) };
    const pixels = Float32Array.from(prepared(image, frame), (value) => value / 255);
    const { latents, labels } = await this.#send({ invert: { folder: this.#folder, model: encoder, pixels } });
    if (latents?.length !== latentSize) throw new GeneratorError(`${encoder.file} does not fit the generator`);
    return { latents, label: labels?.[0] ?? 0 };
  }

  /**
   * What a detector says of a picture of any size; `score` is in [0, 1], higher is more real.
   *
   * @param {ImageData} image
   * @returns {Promise<{score: number, generated: boolean}>}
   * @throws {RangeError} it is a generator.
   */
  async detect(image) {
    const { detector, width, height, channels } = this.info;
    if (!detector) throw new RangeError("this is a generator: it has no scores for pictures");
    const frame = { width, height, channels, preprocessing: detector.preprocessing };
    const judge = Float32Array.from(prepared(image, frame), (value) => value / 255);
    const { score, milliseconds } = await this.#send({ judge });
    this.#milliseconds = [...this.#milliseconds, milliseconds].slice(-TIMINGS);
    return { score, generated: score < detector.threshold };
  }

  /**
   * The image that is made of a picture.
   *
   * @param {ImageData} image of any size: it is brought to the model's as training did.
   * @param {{hints?: import("./dots.js").Dot[], seed?: bigint | number | string, label?: number}} [options] dots of
   *     colour, where the model takes some; where it takes latents or classes, of which seed and which class.
   * @returns {Promise<ImageData>}
   * @throws {RangeError} the generator takes no pictures, an option does not fit it, or it makes clips.
   * @throws {GeneratorError} the model failed to run.
   */
  async translate(image, options = {}) {
    return this.#single(() => this.animate(image, options));
  }

  /**
   * The same of a generator that makes clips of pictures, as `clip` is to `image`.
   *
   * @param {ImageData} image
   * @param {{hints?: import("./dots.js").Dot[], seed?: bigint | number | string, label?: number}} [options]
   * @returns {Promise<ImageData[]>}
   * @throws {RangeError} as `translate`.
   * @throws {GeneratorError} the model failed to run.
   */
  async animate(image, { hints = [], seed = 0, label = 0 } = {}) {
    const { picture, latentSize } = this.info;
    if (!picture) throw new RangeError("image: found one, expected none: this generator takes latents");
    if (hints.length && !picture.hints) throw new RangeError("hints: found some, expected none");
    return this.#make({
      image: Float32Array.from(prepared(image, picture), (value) => value / 255),
      ...(picture.hints && { hints: hintsOf(hints, picture) }),
      ...(latentSize && { latents: latentsOfSeed(seed, latentSize) }),
      ...this.#labels(label),
    });
  }

  /**
   * @param {number} label
   * @returns {import("./model.js").Job}
   */
  #labels(label) {
    const classes = this.info.classNames.length;
    if (!Number.isInteger(label) || label < 0 || label >= Math.max(1, classes)) {
      throw new RangeError(`label: found ${label}, expected 0 to ${Math.max(1, classes) - 1}`);
    }
    return classes ? { labels: Int32Array.of(label) } : {};
  }

  /**
   * @param {string} text
   * @returns {import("./model.js").Job}
   */
  #tokens(text) {
    const { words } = this.info;
    if (text && !words) throw new RangeError(`text: found “${text}”, expected none: this generator takes no words`);
    return this.#words && words ? { tokens: this.#words.tokens(text, words.length) } : {};
  }

  /**
   * @param {() => Promise<ImageData[]>} make
   * @returns {Promise<ImageData>}
   */
  async #single(make) {
    if (this.info.frameCount) {
      throw new RangeError("image: this generator makes clips, expected clip, runClip or animate to be called");
    }
    return (await make())[0];
  }

  /**
   * @param {import("./model.js").Job} job
   * @returns {Promise<ImageData[]>} the frames; an image is one.
   */
  async #make(job) {
    const { width, height } = this.info;
    const { pixels, milliseconds, accelerator } = await this.#send({ job });
    if (accelerator !== this.accelerator) this.#milliseconds = [];
    this.accelerator = accelerator;
    this.#milliseconds = [...this.#milliseconds, milliseconds].slice(-TIMINGS);
    const size = 4 * width * height;
    const frames = Array.from({ length: pixels.length / size }, (_, i) => pixels.slice(i * size, (i + 1) * size));
    return frames.map((frame) => new ImageData(frame, width, height));
  }

  /** Milliseconds that the model took for an image or a clip: the median of the last runs; NaN before the first. */
  get milliseconds() {
    const sorted = [...this.#milliseconds].sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : NaN;
  }

  /** End the worker and give its memory back; what has not been answered fails. */
  close() {
    this.#worker.terminate();
    this.#fail(new GeneratorError("the generator was closed"));
  }

  /**
   * @param {object} message
   * @param {(bytes: number) => void} [onBytes]
   * @returns {Promise<any>}
   */
  #send(message, onBytes) {
    const id = (this.#requests += 1);
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.set(id, { resolve, reject, onBytes });
      this.#worker.postMessage({ id, ...message });
    });
  }

  /** @param {{id: number, answer?: any, error?: string, progress?: number}} message */
  #take({ id, answer, error, progress }) {
    const pending = this.#waiting.get(id);
    if (!pending) return;
    if (progress !== undefined) return pending.onBytes?.(progress);
    this.#waiting.delete(id);
    if (error === undefined) pending.resolve(answer);
    else pending.reject(new GeneratorError(error));
  }

  /** @param {Error} error */
  #fail(error) {
    this.#ended = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** @param {URL} url @returns {Promise<Info>} */
async function fetchInfo(url) {
  // Requested anew each time: it names the model file, whose name has the version in it.
  const response = await fetch(url, { cache: "no-cache" }).catch(() => null);
  if (!response) throw new GeneratorError("cannot fetch model.json: no connection");
  if (!response.ok) throw new GeneratorError(`cannot fetch model.json: status ${response.status}`);
  return response.json().catch(() => {
    throw new GeneratorError("model.json is damaged: it is not JSON");
  });
}
