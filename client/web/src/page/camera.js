/** A picture from the camera: a dialog with what it sees, and a button. The camera is on only while that is open. */

import { element, make, say } from "./elements.js";

/** Why there is none, by the browser's name for it. @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "the camera was refused",
  NotFoundError: "no camera was found",
  NotReadableError: "another program has the camera",
};

/** @param {(picture: Blob) => void} take called with each picture. */
export function mountCamera(take) {
  const [dialog, view] = [element("camera"), element("view")];
  const stop = () => {
    for (const track of view.srcObject?.getTracks() ?? []) track.stop();
    view.srcObject = null;
  };
  element("shoot").addEventListener("click", async () => {
    try {
      view.srcObject = await stream();
    } catch (error) {
      return say(`No picture: ${reason(error)}. Open a picture instead`);
    }
    dialog.showModal();
  });
  element("take").addEventListener("click", () => {
    const canvas = make("canvas", { width: view.videoWidth, height: view.videoHeight });
    if (!canvas.width) return; // nothing is seen yet
    canvas.getContext("2d").drawImage(view, 0, 0);
    dialog.close();
    canvas.toBlob(take);
  });
  element("close-camera").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", stop);
}

/** @returns {Promise<MediaStream>} of the camera at a phone's back, where there are two. */
async function stream() {
  if (!navigator.mediaDevices) throw new Error("browsers give the camera only to pages from https or localhost");
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
}

/** @param {any} error */
function reason(error) {
  return REASONS[error.name] ?? error.message;
}
