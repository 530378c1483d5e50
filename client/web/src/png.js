/**
 * PNG files of raw pixels, with text fields. A canvas writes PNG too, but always RGBA, with the colours of transparent
 * pixels changed, and without text. One image or an image grid, 8 bits a channel; nothing is read.
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** @type {Record<number, number>} channels → PNG's colour type: grey, RGB, RGBA. */
const COLOUR_TYPE = { 1: 0, 3: 2, 4: 6 };

/**
 * Images side by side, row by row, without gaps.
 *
 * @param {ImageData[]} images of one size.
 * @param {number} columns
 * @returns {ImageData}
 */
export function tile(images, columns) {
  const { width, height } = images[0];
  const tiled = new ImageData(columns * width, Math.ceil(images.length / columns) * height);
  images.forEach((image, i) => {
    const left = 4 * width * (i % columns);
    const top = height * Math.floor(i / columns);
    for (let y = 0; y < height; y += 1) {
      const row = image.data.subarray(4 * width * y, 4 * width * (y + 1));
      tiled.data.set(row, 4 * tiled.width * (top + y) + left);
    }
  });
  return tiled;
}

/**
 * Each pixel as a square of pixels.
 *
 * @param {ImageData} image
 * @param {number} scale
 * @returns {ImageData}
 */
export function enlarge(image, scale) {
  const larger = new ImageData(image.width * scale, image.height * scale);
  const [from, to] = [new Uint32Array(image.data.buffer), new Uint32Array(larger.data.buffer)];
  to.forEach((_, i) => {
    const [x, y] = [i % larger.width, Math.floor(i / larger.width)];
    to[i] = from[Math.floor(y / scale) * image.width + Math.floor(x / scale)];
  });
  return larger;
}

/**
 * A PNG file.
 *
 * @param {{width: number, height: number, data: Uint8ClampedArray}} image RGBA pixels.
 * @param {number} channels 1 (grey: the red channel), 3 or 4: what the file shall have.
 * @param {Record<string, string>} text fields of the file, as iTXt.
 * @returns {Promise<Blob>}
 */
export async function encodePng(image, channels, text) {
  const pixels = await deflate(scanlines(image, channels));
  return file([...opening(image, channels, text), chunk("IDAT", pixels)]);
}

/**
 * An animated PNG file (APNG), which repeats for ever; a reader that knows only PNG shows the first image.
 *
 * @param {ImageData[]} images of one size.
 * @param {number} channels 1, 3 or 4.
 * @param {number} seconds that each is shown.
 * @param {Record<string, string>} text fields of the file.
 * @returns {Promise<Blob>}
 */
export async function encodeAnimation(images, channels, seconds, text) {
  const [{ width, height }] = images;
  const delay = Math.round(1000 * seconds);
  const parts = [...opening(images[0], channels, text), chunk("acTL", bytes(images.length, 0))];
  let sequence = 0;
  for (const [i, image] of images.entries()) {
    const times = new Uint8Array([delay >>> 8, delay & 0xff, 1000 >>> 8, 1000 & 0xff, 0, 0]);
    parts.push(chunk("fcTL", bytes(sequence++, width, height, 0, 0), times));
    const pixels = await deflate(scanlines(image, channels));
    parts.push(i === 0 ? chunk("IDAT", pixels) : chunk("fdAT", bytes(sequence++), pixels));
  }
  return file(parts);
}

/**
 * What stands before the pixels.
 *
 * @param {{width: number, height: number}} size
 * @param {number} channels
 * @param {Record<string, string>} text
 */
function opening({ width, height }, channels, text) {
  const header = chunk("IHDR", bytes(width, height), new Uint8Array([8, COLOUR_TYPE[channels], 0, 0, 0]));
  const fields = Object.entries(text).map(([key, value]) =>
    chunk("iTXt", new TextEncoder().encode(`${key}\0\0\0\0\0${value}`)),
  );
  return [header, ...fields];
}

/** @param {Uint8Array<ArrayBuffer>[]} chunks all but the signature and the end. */
function file(chunks) {
  return new Blob([new Uint8Array(SIGNATURE), ...chunks, chunk("IEND")], { type: "image/png" });
}

/**
 * The rows of an image, each after its filter type, which is 0: none.
 *
 * @param {{width: number, height: number, data: Uint8ClampedArray}} image
 * @param {number} channels
 */
function scanlines({ width, height, data }, channels) {
  const lines = new Uint8Array(height * (1 + width * channels));
  let at = 0;
  for (let y = 0; y < height; y += 1) {
    at += 1;
    for (let x = 0; x < width; x += 1) {
      const pixel = 4 * (y * width + x);
      for (let c = 0; c < channels; c += 1) lines[at++] = data[pixel + c];
    }
  }
  return lines;
}

/** @param {Uint8Array<ArrayBuffer>} content */
async function deflate(content) {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * A chunk of the file: length, type, content, checksum of type and content.
 *
 * @param {string} type
 * @param {Uint8Array[]} contents
 */
function chunk(type, ...contents) {
  const body = join([new TextEncoder().encode(type), ...contents]);
  return join([bytes(body.length - 4), body, bytes(crc(body))]);
}

/** @param {Uint8Array[]} parts */
function join(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Words of 32 bits, the high byte first. @param {number[]} words */
function bytes(...words) {
  return new Uint8Array(words.flatMap((word) => [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff]));
}

/** @param {Uint8Array} content */
function crc(content) {
  let rest = 0xffffffff;
  for (const byte of content) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return ~rest >>> 0;
}
