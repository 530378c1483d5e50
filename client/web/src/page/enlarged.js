/** The picked image in a dialog, each of its pixels 4 or 8 wide, to look at and to save; the arrow keys go on. */

import { draw, element } from "./elements.js";
import { saveImage } from "./saving.js";

/**
 * @param {import("../generator.js").Info} info
 * @param {import("./state.js").Store} store
 * @param {import("./grid.js").Grid} grid
 */
export function mountEnlarged(info, store, grid) {
  const dialog = element("enlarged");
  const canvas = element("enlarged-canvas");
  const scales = [4, 8].map((scale) => ({ scale, button: element(`x${scale}`) }));
  let scale = info.width * 8 <= innerWidth - 64 && info.height * 8 <= innerHeight - 220 ? 8 : 4;

  const show = () => {
    const image = grid.image(store.state.pick);
    if (!dialog.open || !image) return;
    element("enlarged-title").textContent = grid.title(store.state.pick);
    canvas.style.width = `${scale * image.width}px`;
    scales.forEach(({ scale: other, button }) => button.setAttribute("aria-pressed", String(other === scale)));
    draw(canvas, image);
  };
  const open = () => {
    if (dialog.open) return;
    element("enlarged-status").textContent = "";
    dialog.showModal();
    show();
  };
  for (const { scale: other, button } of scales) {
    button.addEventListener("click", () => {
      scale = other;
      show();
    });
  }
  document.querySelector("#picked .enlarge")?.addEventListener("click", open);
  element("save-enlarged").addEventListener("click", async () => {
    await grid.settled();
    await saveImage(info, store, grid, scale);
  });
  element("close-enlarged").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const pick = store.state.pick + (step ?? 0);
    if (step && pick in grid.clips) store.update({ pick });
  });
  grid.addEventListener("opened", open);
  grid.addEventListener("picked", show);
  store.addEventListener("change", show);
}
