/** What stands behind transparent pictures, as training names it, in a page's own colours. */

/** How pictures are brought to size, with the background as a page knows colours. @param {Record<string, string>} [how] */
export function ofPage({ background = "white", ...others } = {}) {
  return { ...others, background: hexadecimal(background) };
}

/** A colour with a name as `#rrggbb`. @param {string} colour */
function hexadecimal(colour) {
  const context = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  context.fillStyle = "white"; // stands where the other is no colour
  context.fillStyle = colour;
  return context.fillStyle;
}
