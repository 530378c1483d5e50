/** Pen, eraser and dots of colour: what mouse, finger or pen do on the canvas becomes steps of the drawing. */

import { RADIUS } from "../dots.js";
import { element, make } from "./elements.js";

const BLACK = "#000000";
const COLOURS = {
  ...{ red: "#d22f27", orange: "#f1892f", yellow: "#fcea2b", green: "#5c9e31", blue: "#3f7fd1" },
  ...{ purple: "#8967aa", brown: "#8d5a3c", grey: "#9b9b9a", white: "#ffffff" },
};

/** @typedef {import("./drawing.js").Drawing} Drawing */

/** @param {Drawing} drawing */
export function mountTools(drawing) {
  const { picture } = drawing;
  const colour = mountColours(picture);
  const width = mountWidth(picture);
  element("dot-tool").hidden = !picture.hints;
  element("undo").addEventListener("click", () => drawing.undo());
  element("clear").addEventListener("click", () => drawing.add({ kind: "clear" }));
  document.addEventListener("keydown", (event) => {
    const typing = document.activeElement instanceof HTMLInputElement && document.activeElement.type === "text";
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || typing) return;
    event.preventDefault();
    drawing.undo();
  });
  mountPointer(drawing, ([x, y]) => {
    const tool = /** @type {any} */ (document.querySelector("#tool-choice :checked")).value;
    if (tool === "dot") return { kind: "dot", x: Math.floor(x), y: Math.floor(y), colour: colour() };
    const ink = tool === "eraser" ? null : picture.hints ? BLACK : colour();
    return { kind: "stroke", points: [[x, y]], width: width() * (ink === null ? 3 : 1), colour: ink };
  });
  mountLayers(drawing);
}

/**
 * A press begins a step, what follows extends it.
 *
 * @param {Drawing} drawing
 * @param {(point: import("./drawing.js").Point) => import("./drawing.js").Step} begin
 */
function mountPointer(drawing, begin) {
  const layer = element("dots");
  /** @type {number | undefined} */
  let pointer;
  const place = (/** @type {PointerEvent} */ event) => {
    const box = layer.getBoundingClientRect();
    const { width, height } = drawing.picture;
    const [x, y] = [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
    return /** @type {[number, number]} */ ([x, y]);
  };
  layer.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (pointer !== undefined || event.button !== 0) return; // a second finger, another button
    event.preventDefault();
    pointer = event.pointerId;
    layer.setPointerCapture(pointer);
    drawing.add(begin(place(event)));
  });
  layer.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) drawing.extend(place(each));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    layer.addEventListener(name, (/** @type {PointerEvent} */ event) => {
      if (event.pointerId === pointer) pointer = undefined;
    });
  }
}

/**
 * Swatches and a picker, for dots where the model takes them, else for the pen; none for grey pictures.
 *
 * @param {import("../generator.js").Picture} picture
 * @returns {() => string} the colour that is chosen.
 */
function mountColours({ hints, channels }) {
  const box = element("colours");
  box.hidden = !hints && channels === 1;
  const offered = Object.entries(hints ? COLOURS : { black: BLACK, ...COLOURS });
  const own = make("input", { type: "color", value: offered[0][1], "aria-label": "Another colour", title: "Another colour" });
  const choose = (/** @type {string} */ value) => {
    own.value = value;
    for (const swatch of box.querySelectorAll("button")) {
      swatch.setAttribute("aria-pressed", String(swatch.value === value));
    }
    const dot = /** @type {any} */ (document.querySelector("#tool-choice [value=dot]"));
    if (hints) dot.checked = true;
  };
  const swatches = offered.map(([name, value]) => {
    const swatch = make("button", { type: "button", value, title: name, "aria-label": name });
    swatch.style.backgroundColor = value;
    swatch.addEventListener("click", () => choose(value));
    return swatch;
  });
  own.addEventListener("input", () => choose(own.value));
  box.append(...swatches, own);
  swatches[0].setAttribute("aria-pressed", "true");
  return () => own.value;
}

/**
 * @param {import("../generator.js").Picture} picture
 * @returns {() => number} the pen's width, in pixels of the model.
 */
function mountWidth({ width, height }) {
  const side = Math.max(width, height);
  const slider = element("width");
  const usual = Math.max(1, side / 32);
  Object.assign(slider, { min: usual / 2, max: 4 * usual, step: usual / 4, value: usual });
  return () => Number(slider.value);
}

/**
 * Show the drawing, and the dots above it.
 *
 * @param {Drawing} drawing
 */
function mountLayers(drawing) {
  const [pad, layer] = [element("pad"), element("dots")];
  const { width, height } = drawing.picture;
  element("translate").style.setProperty("--proportions", String(width / height));
  for (const canvas of [pad, layer]) [canvas.width, canvas.height] = [drawing.canvas.width, drawing.canvas.height];
  const show = () => {
    pad.getContext("2d").drawImage(drawing.canvas, 0, 0);
    const context = layer.getContext("2d");
    context.clearRect(0, 0, layer.width, layer.height);
    for (const dot of drawing.dots) ring(context, dot, drawing.scale);
    element("pad-words").hidden = !drawing.empty;
    for (const id of ["undo", "clear"]) element(id).disabled = !drawing.begun;
  };
  drawing.addEventListener("change", show);
  show();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("../dots.js").Dot} dot
 * @param {number} scale
 */
function ring(context, { x, y, colour }, scale) {
  const radius = (RADIUS + 0.5) * scale;
  const disc = (/** @type {string} */ style, /** @type {number} */ more) => {
    context.fillStyle = style;
    context.beginPath();
    context.arc((x + 0.5) * scale, (y + 0.5) * scale, radius + more, 0, 2 * Math.PI);
    context.fill();
  };
  disc("#0008", 4);
  disc("#fff", 3);
  disc(colour, 0);
}
