/** Pictures from outside: a file that is chosen or dropped, the clipboard, the camera. */

import { mountCamera } from "./camera.js";
import { element, say } from "./elements.js";

/** Canvases of more pixels than this are refused by phones; larger photographs are made smaller first. */
const MOST_PIXELS = 2 ** 24;
const EXPECTED = "expected a picture that this browser shows: PNG, JPEG, WebP, GIF, AVIF or BMP";

/**
 * @param {(image: ImageData, name: string) => void} take called with each picture, and what it is called.
 * @param {string} [prefix] before the names of the buttons; the camera has one without it alone.
 */
export function mountOpening(take, prefix = "") {
  const open = async (/** @type {Blob} */ content, /** @type {string} */ name) => {
    const image = await decoded(content).catch(() => undefined);
    if (!image) return say(`${name} cannot be read, ${EXPECTED}`);
    say(`Opened ${name}`, false);
    take(image, name);
  };
  const choice = element(`${prefix}file-choice`);
  element(`${prefix}open`).addEventListener("click", () => choice.click());
  choice.addEventListener("change", () => {
    if (choice.files[0]) open(choice.files[0], choice.files[0].name);
    choice.value = ""; // so that the same file can be chosen again
  });
  mountDrop(open);
  mountPaste(open, `${prefix}paste`);
  if (!prefix) mountCamera((content) => open(content, "the camera's picture"));
}

/** @param {(content: Blob, name: string) => void} open */
function mountDrop(open) {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) open(file, file.name);
    else say("What was dropped is no file: save the picture first, or copy and paste it");
  });
}

/** @param {(content: Blob, name: string) => void} open @param {string} button */
function mountPaste(open, button) {
  const none = "The clipboard holds no picture";
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (file) open(file, "the clipboard's picture");
    else if (!(event.target instanceof HTMLInputElement)) say(none);
  });
  element(button).addEventListener("click", async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((each) => each.startsWith("image/"));
        if (type) return open(await item.getType(type), "the clipboard's picture");
      }
      say(none);
    } catch {
      say("This browser does not give the clipboard to a button here: press Ctrl+V or ⌘V");
    }
  });
}

/**
 * The pixels of a picture file, upright, without the colours being matched to the screen: as training read them.
 *
 * @param {Blob} content
 * @returns {Promise<ImageData>}
 */
async function decoded(content) {
  const options = /** @type {const} */ ({
    imageOrientation: "from-image",
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  });
  const bitmap = await createImageBitmap(content, options);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
