/** The page: load the generator, show what it makes, of seeds or of pictures, and say what went wrong. */

import { Generator } from "../generator.js";
import { mountDetection } from "./detection.js";
import { element, say, size } from "./elements.js";
import { mountSamples } from "./samples.js";
import { mountTranslation } from "./translation.js";

/** Images up to this size are shown with their pixels, larger ones smoothly. */
const SMALL_PIXELS = 96;

/** What the kinds of files hold. @type {Record<string, string>} */
const KINDS = {
  float32: "32-bit weights",
  float16: "16-bit weights",
  dynamic: "8-bit weights",
  int8: "8-bit weights and activations",
};

async function start() {
  if (location.protocol === "file:") {
    throw new Error("browsers run programs only from a server: try python3 -m http.server in this folder");
  }
  const missing = ["WebAssembly", "Worker", "DecompressionStream"].filter((name) => !(name in globalThis));
  if (missing.length) throw new Error(`this browser has no ${missing.join(" and no ")}`);
  element("loading").hidden = false;
  const started = performance.now();
  const accelerator = new URLSearchParams(location.search).get("accelerator") ?? "auto";
  const onProgress = (/** @type {number} */ share) => (element("progress").value = share);
  const generator = await Generator.load("./", { onProgress, accelerator });
  element("load-time").textContent = `${((performance.now() - started) / 1000).toFixed(2)} s`;
  show(generator);
}

/** @param {Generator} generator */
function show(generator) {
  describe(generator.info);
  const ready = () => {
    element("milliseconds").textContent = `${generator.milliseconds.toFixed(1)} ms`;
    const { detector, frameCount } = generator.info;
    const one = detector ? "a picture" : frameCount ? "a clip" : "an image";
    element("accelerator").textContent = generator.accelerator === "webgpu" ? `${one}, by WebGPU` : one;
  };
  const { detector, picture } = generator.info;
  const mount = detector ? mountDetection : picture ? mountTranslation : mountSamples;
  const problems = mount(generator, ready);
  element("loading").hidden = true;
  element("timings").hidden = false;
  say(problems.join(" · ") || "Ready", problems.length > 0);
}

/** @param {import("../generator.js").Info} info */
function describe(info) {
  const { detector, picture, latentSize, frameCount, framesPerSecond } = info;
  const from = picture ? `a picture of ${picture.width}×${picture.height}` : `${latentSize} numbers`;
  const frames = frameCount ? `${frameCount} frames, ${rounded(framesPerSecond)} a second, of ` : "";
  const pixels = `${info.width}×${info.height} pixels`;
  const facts = [detector ? `tells generated pictures from real ones, by ${pixels}` : `${frames}${pixels} from ${from}`];
  if (info.classNames.length) facts.push(`${info.classNames.length} classes`);
  if (info.words) facts.push(`${info.words.vocabulary.length - 2} words`);
  if (info.version) facts.push(`version ${info.version}`);
  element("about").textContent = facts.join(" · ");
  const { file, kind, licence } = info.model;
  const known = [file, KINDS[kind], size(info.model.bytes), licence && `licence of the data: ${licence}`];
  element("file").textContent = known.filter(Boolean).join(" · ");
  document.body.classList.toggle("small-images", Math.max(info.width, info.height) <= SMALL_PIXELS);
}

/** @param {number} value */
function rounded(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

/** @param {unknown} error */
function fail(error) {
  const reason = error instanceof Error ? error.message : String(error);
  element("error").textContent = `The generator does not run: ${reason}.`;
  element("error").hidden = false;
  element("loading").hidden = true;
  for (const id of ["main", "translate", "judge"]) element(id).inert = true;
}

addEventListener("unhandledrejection", (event) => fail(event.reason));
addEventListener("error", (event) => fail(event.error ?? event.message));
start().catch(fail);
