/** Latents for tests/client/test_client_web.py: {"seeds": ["-1", …], "size": Z} on stdin, a row a seed on stdout. */

import { text } from "node:stream/consumers";
import { latentsOfSeed } from "../src/latents.js";

const { seeds, size } = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(seeds.map((seed) => [...latentsOfSeed(seed, size)])));
