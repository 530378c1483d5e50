/**
 * Pictures of any size as a model takes them, by the steps of training: over a background, cropped or padded, averaged
 * while they are far too large, then resized with Lanczos in whole numbers. The pixels are Pillow's, whose
 * `Image.resize(…, reducing_gap=3)` this follows (src/libImaging/Resample.c and Reduce.c). It touches no document.
 */

const WHITE = [255, 255, 255];
/** Of the three colours' sum 65536, as in Pillow: grey stays what it is. */
const LUMA = [19595, 38470, 7471];
/** Blocks of pixels are averaged as long as that leaves so many times the target size. */
const REDUCING_GAP = 3;
/** How far Lanczos looks, in pixels of the result. */
const SUPPORT = 3;
/** Weights are whole numbers of so many bits behind the point. */
const BITS = 22;

/**
 * @typedef {object} Preprocessing of a tensor, as in interface.json.
 * @property {string} [crop] center, none (all of it, squeezed) or pad (all of it, with borders).
 * @property {string} [background] `#rrggbb`; white where it says nothing, or a name: `Generator` puts these into numbers.
 * @property {string} [resize] lanczos or nearest.
 *
 * @typedef {{width: number, height: number, channels: number, preprocessing?: Preprocessing}} Frame
 * @typedef {{width: number, height: number, data: Uint8ClampedArray}} Rgba
 * @typedef {{width: number, height: number, channels: number, data: Uint8ClampedArray}} Plane
 * @typedef {{from: number, to: number, length: number, target: number}} Side what is kept of a picture along one side,
 *     of how many pixels, and how many it becomes.
 */

/**
 * The pixels of a picture as the model takes them.
 *
 * @param {Rgba} image
 * @param {Frame} frame
 * @returns {Uint8ClampedArray} (height × width × channels).
 */
export function prepared(image, { width, height, channels, preprocessing = {} }) {
  const { crop = "center", background, resize } = preprocessing;
  const colour = rgb(background);
  const whole = coloured(crop === "pad" ? padded(image, width, height, colour) : image, channels, colour);
  const [columns, rows] = crop === "none" ? [all(whole.width, width), all(whole.height, height)] : middle(whole, width, height);
  if (resize === "nearest") return picked(whole, columns, rows).data;
  if (whole.width === width && whole.height === height) return whole.data;
  if (channels < 4) return resized(whole, columns, rows).data;
  return divided(resized(multiplied(whole), columns, rows)).data;
}

/**
 * The part of a picture that the model sees, in its own pixels.
 *
 * @param {{width: number, height: number}} image
 * @param {Frame} frame
 * @returns {{x: number, y: number, width: number, height: number}} beyond the picture where it is padded.
 */
export function seen(image, { width, height, preprocessing: { crop = "center" } = {} }) {
  if (crop === "none") return { x: 0, y: 0, width: image.width, height: image.height };
  if (crop === "pad") {
    const { left, top, wide, high } = border(image, width, height);
    return { x: -left, y: -top, width: wide, height: high };
  }
  const [columns, rows] = middle(image, width, height);
  return { x: columns.from, y: rows.from, width: columns.to - columns.from, height: rows.to - rows.from };
}

/**
 * Pixels as the model takes them, as those of a picture.
 *
 * @param {Uint8ClampedArray} pixels (height × width × channels).
 * @param {{channels: number}} frame
 * @returns {Uint8ClampedArray<ArrayBuffer>} (height × width × 4).
 */
export function opaque(pixels, { channels }) {
  const rgba = new Uint8ClampedArray((4 * pixels.length) / channels);
  return rgba.map((_, i) => (channels < 4 && i % 4 === 3 ? 255 : pixels[channels * (i >> 2) + (i % 4) % channels]));
}

/** @param {string | undefined} colour */
function rgb(colour) {
  const digits = /^#([0-9a-f]{6})$/i.exec(colour ?? "");
  if (digits) return [0, 2, 4].map((at) => parseInt(digits[1].slice(at, at + 2), 16));
  return WHITE;
}

/**
 * @param {number} length
 * @param {number} target
 * @returns {Side}
 */
function all(length, target) {
  return { from: 0, to: length, length, target };
}

/**
 * The largest part in the middle that has the proportions.
 *
 * @param {{width: number, height: number}} image
 * @param {number} width
 * @param {number} height
 * @returns {[Side, Side]}
 */
function middle(image, width, height) {
  const wide = Math.min(image.width, Math.max(1, Math.floor((image.height * width) / height)));
  const high = Math.min(image.height, Math.max(1, Math.floor((image.width * height) / width)));
  const [left, top] = [(image.width - wide) >> 1, (image.height - high) >> 1];
  return [
    { from: left, to: left + wide, length: image.width, target: width },
    { from: top, to: top + high, length: image.height, target: height },
  ];
}

/**
 * The smallest picture of the proportions that holds another in its middle.
 *
 * @param {{width: number, height: number}} image
 * @param {number} width
 * @param {number} height
 */
function border(image, width, height) {
  const wide = Math.max(image.width, Math.floor((image.height * width) / height));
  const high = Math.max(image.height, Math.floor((image.width * height) / width));
  return { wide, high, left: (wide - image.width) >> 1, top: (high - image.height) >> 1 };
}

/**
 * @param {Rgba} image
 * @param {number} width
 * @param {number} height
 * @param {number[]} colour
 * @returns {Rgba}
 */
function padded(image, width, height, colour) {
  const { wide, high, left, top } = border(image, width, height);
  const data = new Uint8ClampedArray(4 * wide * high);
  for (let i = 0; i < data.length; i += 1) data[i] = i % 4 < 3 ? colour[i % 4] : 255;
  for (let y = 0; y < image.height; y += 1) {
    const row = image.data.subarray(4 * y * image.width, 4 * (y + 1) * image.width);
    data.set(row, 4 * ((top + y) * wide + left));
  }
  return { width: wide, height: high, data };
}

/**
 * Opaque, over the background, in colour or grey; with four channels as it is.
 *
 * @param {Rgba} image
 * @param {number} channels
 * @param {number[]} background
 * @returns {Plane}
 */
function coloured({ width, height, data: rgba }, channels, background) {
  if (channels === 4) return { width, height, channels, data: rgba };
  const data = new Uint8ClampedArray(channels * width * height);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += channels) {
    const opacity = rgba[from + 3] / 255;
    let luma = 1 << 15;
    for (let c = 0; c < 3; c += 1) {
      const value = Math.round(rgba[from + c] * opacity + background[c] * (1 - opacity));
      if (channels === 3) data[to + c] = value;
      luma += LUMA[c] * value;
    }
    if (channels === 1) data[to] = luma >> 16;
  }
  return { width, height, channels, data };
}

/**
 * The nearest pixels, none of them mixed.
 *
 * @param {Plane} plane
 * @param {Side} columns
 * @param {Side} rows
 * @returns {Plane}
 */
function picked({ width, channels, data }, columns, rows) {
  /** @type {(side: Side, i: number) => number} */
  const place = ({ from, to, target }, i) => from + Math.floor(((2 * i + 1) * (to - from)) / (2 * target));
  const made = new Uint8ClampedArray(channels * columns.target * rows.target);
  for (let y = 0, at = 0; y < rows.target; y += 1) {
    for (let x = 0; x < columns.target; x += 1, at += channels) {
      const from = channels * (place(rows, y) * width + place(columns, x));
      made.set(data.subarray(from, from + channels), at);
    }
  }
  return { width: columns.target, height: rows.target, channels, data: made };
}

/**
 * @param {Plane} plane
 * @param {Side} columns
 * @param {Side} rows
 * @returns {Plane}
 */
function resized(plane, columns, rows) {
  const [wide, high] = [factor(columns), factor(rows)];
  if (wide > 1 || high > 1) {
    plane = averaged(plane, looked(columns), looked(rows), wide, high);
    [columns, rows] = [scaled(columns, wide), scaled(rows, high)];
  }
  // The order of Pillow 13, which shows, since there is rounding in between.
  const rowsFirst = rows.length - rows.target > Math.max(0, 2 * (columns.length - columns.target));
  return rowsFirst ? across(down(plane, rows), columns) : down(across(plane, columns), rows);
}

/** @param {Side} side */
function factor({ from, to, target }) {
  return Math.max(1, Math.floor((to - from) / target / REDUCING_GAP));
}

/**
 * What is kept, and what Lanczos looks at beside it.
 *
 * @param {Side} side
 * @returns {[number, number]}
 */
function looked({ from, to, length, target }) {
  const beside = ((SUPPORT - 0.5) * (to - from)) / target;
  return [Math.max(0, Math.trunc(from - beside)), Math.min(length, Math.ceil(to + beside))];
}

/**
 * The same part in pixels of the picture that blocks were averaged to.
 *
 * @param {Side} side
 * @param {number} times
 * @returns {Side}
 */
function scaled(side, times) {
  const [first, last] = looked(side);
  const length = Math.ceil((last - first) / times);
  return { ...side, from: (side.from - first) / times, to: (side.to - first) / times, length };
}

/**
 * A part of a picture, a pixel for the average of each block; the last ones may be smaller.
 *
 * @param {Plane} plane
 * @param {[number, number]} columns
 * @param {[number, number]} rows
 * @param {number} wide
 * @param {number} high
 * @returns {Plane}
 */
function averaged({ width, channels, data }, [left, right], [top, bottom], wide, high) {
  const [newWidth, newHeight] = [Math.ceil((right - left) / wide), Math.ceil((bottom - top) / high)];
  const made = new Uint8ClampedArray(channels * newWidth * newHeight);
  for (let i = 0; i < newWidth * newHeight; i += 1) {
    const [x, y] = [left + (i % newWidth) * wide, top + Math.floor(i / newWidth) * high];
    const [toX, toY] = [Math.min(right, x + wide), Math.min(bottom, y + high)];
    const area = (toX - x) * (toY - y);
    const share = Math.trunc(Math.fround(2 ** 24 / area)); // of 2 ** 24; Pillow divides by multiplying with it
    for (let c = 0; c < channels; c += 1) {
      let sum = area >> 1;
      for (let v = y; v < toY; v += 1) for (let u = x; u < toX; u += 1) sum += data[channels * (v * width + u) + c];
      made[channels * i + c] = Math.floor((sum * share) / 2 ** 24);
    }
  }
  return { width: newWidth, height: newHeight, channels, data: made };
}

/**
 * Along the rows.
 *
 * @param {Plane} plane
 * @param {Side} columns
 * @returns {Plane}
 */
function across({ width, height, channels, data }, columns) {
  const step = { line: channels * width, pixel: channels };
  return { width: columns.target, height, channels, data: filtered(data, columns, height, channels, step, true) };
}

/**
 * Along the columns.
 *
 * @param {Plane} plane
 * @param {Side} rows
 * @returns {Plane}
 */
function down({ width, channels, data }, rows) {
  const step = { line: channels, pixel: channels * width };
  return { width, height: rows.target, channels, data: filtered(data, rows, width, channels, step, false) };
}

/**
 * Lines of pixels, each resized by itself.
 *
 * @param {Uint8ClampedArray} data
 * @param {Side} side
 * @param {number} lines
 * @param {number} channels
 * @param {{line: number, pixel: number}} step from a line to the next, and from a pixel of a line to the next.
 * @param {boolean} rows whether lines are rows.
 */
function filtered(data, side, lines, channels, step, rows) {
  const kernels = weights(side);
  const made = new Uint8ClampedArray(lines * side.target * channels);
  kernels.forEach(({ first, values }, i) => {
    for (let line = 0; line < lines; line += 1) {
      const to = channels * (rows ? line * side.target + i : i * lines + line);
      for (let c = 0; c < channels; c += 1) {
        let from = line * step.line + first * step.pixel + c;
        let sum = 1 << (BITS - 1);
        for (const value of values) {
          sum += data[from] * value;
          from += step.pixel;
        }
        made[to + c] = Math.floor(sum / 2 ** BITS);
      }
    }
  });
  return made;
}

/**
 * For each pixel of the result the first one that it is made of, and by which whole numbers.
 *
 * @param {Side} side
 * @returns {{first: number, values: number[]}[]}
 */
function weights({ from, to, length, target }) {
  const [start, end] = [Math.fround(from), Math.fround(to)];
  const scale = Math.fround(end - start) / target;
  const spread = Math.max(1, scale);
  return Array.from({ length: target }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - SUPPORT * spread + 0.5));
    const last = Math.min(length, Math.trunc(centre + SUPPORT * spread + 0.5));
    const raw = Array.from({ length: last - first }, (_, k) => lanczos((k + first - centre + 0.5) * (1 / spread)));
    const sum = raw.reduce((total, value) => total + value, 0);
    return { first, values: raw.map((value) => whole((value / sum) * 2 ** BITS)) };
  });
}

/** Away from zero at a half. @param {number} value */
function whole(value) {
  return Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
}

/** @param {number} x */
function lanczos(x) {
  return x >= -SUPPORT && x < SUPPORT ? sinc(x) * sinc(x / SUPPORT) : 0;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/**
 * Colours times opacity, so that what cannot be seen is not mixed in.
 *
 * @param {Plane} plane of four channels.
 * @returns {Plane}
 */
function multiplied(plane) {
  const data = plane.data.map((value, i) => (i % 4 === 3 ? value : Math.round((value * plane.data[i | 3]) / 255)));
  return { ...plane, data };
}

/**
 * And back.
 *
 * @param {Plane} plane of four channels.
 * @returns {Plane}
 */
function divided(plane) {
  const { data } = plane;
  const colour = (/** @type {number} */ value, /** @type {number} */ a) => (a === 0 || a === 255 ? value : Math.floor((255 * value) / a));
  return { ...plane, data: data.map((value, i) => (i % 4 === 3 ? value : colour(value, data[i | 3]))) };
}
