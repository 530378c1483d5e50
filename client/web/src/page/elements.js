/** Small words for the document: finding elements, making them, drawing on a canvas, saving a file. */

/**
 * The element of an id; the page's own, so it is there.
 *
 * @param {string} id
 * @returns {any}
 */
export function element(id) {
  return document.getElementById(id);
}

/**
 * A new element with properties and children; what has a dash in its name is set as an attribute.
 *
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {(Node | string)[]} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else Object.assign(made, { [name]: value });
  }
  made.append(...children);
  return made;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ImageData} image
 */
export function draw(canvas, image) {
  if (canvas.width !== image.width) canvas.width = image.width;
  if (canvas.height !== image.height) canvas.height = image.height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const url = URL.createObjectURL(content);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after this returns
}

/** How long a message stands in view. */
const SAID_MILLISECONDS = 5000;
let said = 0;

/**
 * Say something to all, screen readers included: it stands in view for a while, wherever the page is scrolled to.
 *
 * @param {string} words
 * @param {boolean} [seen] false where it can be seen on the page anyway.
 */
export function say(words, seen = true) {
  const status = element("status");
  // What is outside an open dialog is out of reach, so there the message stands inside.
  element("enlarged-status").textContent = element("enlarged").open && seen ? words : "";
  status.textContent = words;
  status.classList.toggle("seen", seen && words !== "");
  clearTimeout(said);
  if (seen) said = window.setTimeout(() => status.classList.remove("seen"), SAID_MILLISECONDS);
}

/**
 * Bytes as a person writes them.
 *
 * @param {number} bytes
 */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
