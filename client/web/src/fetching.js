/** Bytes over HTTP for the worker: with progress, unpacked, digested. Its errors name the file. */

/**
 * The bytes of a file.
 *
 * @param {URL} url
 * @param {(bytes: number) => void} onBytes called with how many bytes have just arrived.
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function fetchBytes(url, onBytes) {
  const name = url.pathname.split("/").pop();
  const response = await fetch(url).catch(() => null);
  if (!response) throw new Error(`cannot fetch ${name}: no connection`);
  if (!response.ok) throw new Error(`cannot fetch ${name}: status ${response.status}`);
  const counter = new TransformStream({
    transform(chunk, controller) {
      onBytes(chunk.length);
      controller.enqueue(chunk);
    },
  });
  const body = response.body?.pipeThrough(counter);
  const content = await new Response(body).arrayBuffer().catch(() => null);
  if (!content) throw new Error(`cannot fetch ${name}: the connection broke`);
  return new Uint8Array(content);
}

/**
 * A gzip file's content; other bytes as they are, since some servers let the browser unpack what ends in .gz.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function gunzip(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * SHA-256 in hexadecimal digits, or undefined where the browser does not compute it: outside https and localhost.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export async function hexDigest(bytes) {
  if (!globalThis.crypto?.subtle) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
