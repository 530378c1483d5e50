/** The page: load the generator, put its parts together, keep the link up to date, and say what went wrong. */

import { Generator } from "../generator.js";
import { mountControls } from "./controls.js";
import { draw, element, say, size } from "./elements.js";
import { mountEnds } from "./ends.js";
import { mountEnlarged } from "./enlarged.js";
import { Morph } from "./morph.js";
import { mountSaving } from "./saving.js";
import { Sheet } from "./sheet.js";
import { fromLink, pickedSeed, Store, toLink } from "./state.js";

/** The address follows the state this much later: browsers limit how often it may change. */
const LINK_MILLISECONDS = 300;
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
  const { info } = generator;
  describe(info);
  const { state, problems } = fromLink(location.hash, info);
  const store = new Store(state);
  const sheet = new Sheet(generator, store);
  mountControls(info, store);
  mountPicked(store, sheet);
  mountSaving(info, store, sheet);
  mountEnlarged(info, store, sheet);
  mountEnds(generator, store, sheet);
  new Morph(generator, store);
  followLink(info, store);
  element("previous").addEventListener("click", () => sheet.turn(-1));
  element("next").addEventListener("click", () => sheet.turn(1));
  let said = state.seed;
  sheet.addEventListener("rendered", () => {
    element("milliseconds").textContent = `${generator.milliseconds.toFixed(1)} ms`;
    element("accelerator").textContent = generator.accelerator === "webgpu" ? "an image, by WebGPU" : "an image";
    if (store.state.seed !== said) say(range(store.state), false);
    said = store.state.seed;
  });
  sheet.refresh();
  element("loading").hidden = true;
  element("timings").hidden = false;
  element("main").hidden = false;
  say(problems.join(" · ") || "Ready", problems.length > 0);
}

/** @param {import("../generator.js").Info} info */
function describe(info) {
  const facts = [`${info.width}×${info.height} pixels from ${info.latentSize} numbers`];
  if (info.classNames.length) facts.push(`${info.classNames.length} classes`);
  if (info.version) facts.push(`version ${info.version}`);
  element("about").textContent = facts.join(" · ");
  const { file, kind, licence } = info.model;
  const known = [file, KINDS[kind], size(info.model.bytes), licence && `licence of the data: ${licence}`];
  element("file").textContent = known.filter(Boolean).join(" · ");
  document.body.classList.toggle("small-images", Math.max(info.width, info.height) <= SMALL_PIXELS);
}

/** @param {import("./state.js").State} state */
function range({ seed, count }) {
  return `Seeds ${seed} to ${seed + BigInt(count - 1)}`;
}

/**
 * The image that is picked, larger, and what can be done with it.
 *
 * @param {Store} store
 * @param {Sheet} sheet
 */
function mountPicked(store, sheet) {
  const showPicked = () => {
    element("picked-title").textContent = sheet.title(store.state.pick);
    element("range").textContent = range(store.state);
    const image = sheet.images[store.state.pick];
    if (image) draw(element("picked-canvas"), image);
  };
  store.addEventListener("change", showPicked);
  sheet.addEventListener("picked", showPicked);
  showPicked();
  element("morph-from").addEventListener("click", () => {
    store.update({ from: pickedSeed(store.state) });
    say(`The morph begins with seed ${store.state.from}`);
  });
  element("morph-to").addEventListener("click", () => {
    store.update({ to: pickedSeed(store.state) });
    say(`The morph ends with seed ${store.state.to}`);
  });
}

/**
 * The address holds the state; an address that is changed by hand is followed.
 *
 * @param {import("../generator.js").Info} info
 * @param {Store} store
 */
function followLink(info, store) {
  let timer = 0;
  store.addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", toLink(store.state, info)), LINK_MILLISECONDS);
  });
  addEventListener("hashchange", () => {
    const { state, problems } = fromLink(location.hash, info);
    store.update(state);
    say(problems.join(" · "));
  });
}

/** @param {unknown} error */
function fail(error) {
  const reason = error instanceof Error ? error.message : String(error);
  element("error").textContent = `The generator does not run: ${reason}.`;
  element("error").hidden = false;
  element("loading").hidden = true;
  element("main").inert = true;
}

addEventListener("unhandledrejection", (event) => fail(event.reason));
addEventListener("error", (event) => fail(event.error ?? event.message));
start().catch(fail);
