/** Latents for tests/client/web/test_web_images.py: {"seeds": ["-1", …], "size": Z} on stdin, a row a seed on stdout. */

import { text } from "node:stream/consumers";
import { latentsOfSeed } from "../src/latents.js";

const { seeds, size } = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(seeds.map((seed) => [...latentsOfSeed(seed, size)])));
