/**
 * PNG files of raw pixels, with text fields. A canvas writes PNG too, but always RGBA, with the colours of transparent
 * pixels changed, and without text. One image or a sheet, 8 bits a channel; nothing is read.
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
  const sheet = new ImageData(columns * width, Math.ceil(images.length / columns) * height);
  images.forEach((image, i) => {
    const left = 4 * width * (i % columns);
    const top = height * Math.floor(i / columns);
    for (let y = 0; y < height; y += 1) {
      const row = image.data.subarray(4 * width * y, 4 * width * (y + 1));
      sheet.data.set(row, 4 * sheet.width * (top + y) + left);
    }
  });
  return sheet;
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
  const { width, height } = image;
  const header = new Uint8Array([...word(width), ...word(height), 8, COLOUR_TYPE[channels], 0, 0, 0]);
  const fields = Object.entries(text).map(([key, value]) =>
    chunk("iTXt", new TextEncoder().encode(`${key}\0\0\0\0\0${value}`)),
  );
  const pixels = await deflate(scanlines(image, channels));
  const parts = [chunk("IHDR", header), ...fields, chunk("IDAT", pixels), chunk("IEND", new Uint8Array())];
  return new Blob([new Uint8Array(SIGNATURE), ...parts], { type: "image/png" });
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

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function deflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * A chunk of the file: length, type, content, checksum of type and content.
 *
 * @param {string} type
 * @param {Uint8Array} content
 */
function chunk(type, content) {
  const body = new Uint8Array([...new TextEncoder().encode(type), ...content]);
  return new Uint8Array([...word(content.length), ...body, ...word(crc(body))]);
}

/** @param {number} value */
function word(value) {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return ~rest >>> 0;
}
