/**
 * Pictures brought to size for tests/client/web/test_web_pictures.py: {"cases": [{"image": {width, height, data},
 * "frame": …}, …]} on stdin, a list of pixels a case on stdout.
 */

import { text } from "node:stream/consumers";
import { prepared } from "../src/pictures.js";

const { cases } = JSON.parse(await text(process.stdin));
const made = cases.map(({ image, frame }) => prepared({ ...image, data: Uint8ClampedArray.from(image.data) }, frame));
console.log(JSON.stringify(made.map((pixels) => [...pixels])));
