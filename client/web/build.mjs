/**
 * From a version of the model repository to a static folder: the page, its worker, LiteRT's runtime, one TFLite file.
 *
 *     node build.mjs models/digits OUT [--file dynamic|float32|float16|int8]
 *
 * MODEL is a model's folder, whose newest version is taken, or a version's. OUT is replaced as a whole, or not at all.
 */

import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { gzip } from "node:zlib";
import { readMetadata } from "./src/metadata.js";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const USAGE = "usage: client/web/build.sh MODEL OUT [--file dynamic|float32|float16|int8]";
/** Ours ← LiteRT.js's: with relaxed SIMD, and for browsers without it. */
const RUNTIMES = { litert: "litert_wasm_internal", "litert-compat": "litert_wasm_compat_internal" };

/** Kinds of TFLite files that browsers run; the first unless another is asked for, of a detector the second. */
const KINDS = ["dynamic", "float32", "float16", "int8"];

const ABANDONED_MS = 24 * 3600 * 1000;

class BuildError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

async function main() {
  const { model, out, asked } = readArguments();
  const folder = await versionFolder(model);
  const { manifest, file, kind, content } = await readVersion(folder, asked);
  await checkReplaceable(out);
  const hidden = path.join(path.dirname(out), `.${path.basename(out)}.building-`);
  await mkdir(path.dirname(out), { recursive: true });
  await sweep(hidden);
  const staging = await mkdtemp(hidden); // nobody else's, in whichever container they build
  try {
    await chmod(staging, 0o755);
    await writePage(staging, manifest.name);
    const runtimeBytes = await writeRuntime(path.join(staging, "litert"));
    const info = describe(manifest, Number(path.basename(folder)), file, content, runtimeBytes);
    await writeFile(path.join(staging, info.model.file), content);
    const encoder = await readEncoder(folder, manifest, kind);
    if (encoder) {
      info.encoder = describeFile(manifest, Number(path.basename(folder)), encoder.file, encoder.content);
      info.encoder.preprocessing = pictureOf(readMetadata(encoder.content)?.interface)?.preprocessing ?? {};
      await writeFile(path.join(staging, info.encoder.file), encoder.content);
    }
    await writeFile(path.join(staging, "model.json"), `${JSON.stringify(info)}\n`);
    await swap(staging, out);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  console.log(out);
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      options: { file: { type: "string" } },
      allowPositionals: true,
    });
    if (positionals.length !== 2) throw new Error(USAGE);
    if (values.file !== undefined && !KINDS.includes(values.file)) {
      throw new Error(`--file: found ${values.file}, expected ${KINDS.join(", ")}`);
    }
    return { model: path.resolve(positionals[0]), out: path.resolve(positionals[1]), asked: values.file };
  } catch (error) {
    throw new BuildError(error.message, 2);
  }
}

/** The version that `model` is or whose newest it has; versions are whole numbers, as for every server. */
async function versionFolder(model) {
  const names = await readdir(model).catch(() => {
    throw new BuildError(`${model}: no such folder, expected a model's folder or a version's, such as models/digits`);
  });
  if (names.includes("manifest.json")) return model;
  const versions = names.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b));
  if (!versions.length) throw new BuildError(`${model}: no version in it, expected one that genexport published`);
  return path.join(model, versions.at(-1));
}

async function readVersion(folder, asked) {
  const manifest = await readManifest(path.join(folder, "manifest.json"));
  // Eight bits are too coarse for scores, and a version is published without them where they are.
  const kind = asked ?? KINDS[judges(manifest) ? 1 : 0];
  const file = `tflite/${manifest.name}-${kind}.tflite`;
  return { manifest, file, kind, content: await readChecked(folder, manifest, file, kind) };
}

/** The way back, from a picture to latents, where the version has a file for it: of the generator's kind if there is one. */
async function readEncoder(folder, manifest, kind) {
  const files = [kind, ...KINDS].map((each) => [each, `tflite/${manifest.name}-invert-${each}.tflite`]);
  const found = files.find(([, file]) => manifest.files?.[file]);
  return found && { file: found[1], content: await readChecked(folder, manifest, found[1], found[0]) };
}

async function readChecked(folder, manifest, file, kind) {
  const place = path.join(folder, file);
  const content = await readFile(place).catch(() => {
    throw new BuildError(`${place}: no such file, expected the ${kind} TFLite file of this version`);
  });
  const expected = manifest.files?.[file]?.sha256;
  if (expected && expected !== sha256(content)) {
    throw new BuildError(`${place}: damaged, its SHA-256 is not the one in manifest.json`);
  }
  return content;
}

async function readManifest(place) {
  let manifest;
  try {
    manifest = JSON.parse(await readFile(place, "utf8"));
  } catch (error) {
    const reason = error instanceof SyntaxError ? "it is not JSON" : "no such file";
    throw new BuildError(`${place}: ${reason}, expected the manifest of a version that genexport published`);
  }
  checkKind(manifest, place);
  const { name, latent_size: latents, image_shape: shape } = manifest ?? {};
  if (!/^[\w.-]+$/.test(name ?? "") || !Number.isInteger(latents) || shape?.length !== 3) {
    throw new BuildError(`${place}: expected name, latent_size and image_shape of a version that genexport published`);
  }
  return manifest;
}

/** Whether it is a detector, which has scores for pictures. */
function judges(manifest) {
  return manifest.signatures?.detect !== undefined;
}

/** A discriminator takes images, other models take other things: the page is for detectors and those that make images of these. */
function checkKind(manifest, place) {
  if (judges(manifest)) return;
  const inputs = Object.keys(manifest?.signatures?.serving_default?.inputs ?? { latents: null });
  const known = inputs.includes("image") ? ["image", "hints", "latents", "labels"] : ["latents", "labels", "tokens"];
  if (!inputs.every((name) => known.includes(name)) || !inputs.some((name) => ["latents", "image"].includes(name))) {
    const found = `takes ${inputs.join(" and ") || "nothing"}`;
    const expected =
      "a detector, or a generator, which takes latents and perhaps labels or tokens, or an image and perhaps hints";
    throw new BuildError(`${place}: this model ${found}, expected ${expected}`);
  }
}

/** What the page has to know: src/generator.js has the type. */
function describe(manifest, version, file, content, runtimeBytes) {
  const [height, width, channels] = manifest.image_shape;
  const { latent_size: latentSize, class_names: names = [], class_count: classes = names.length } = manifest;
  const numbered = Number.isInteger(version);
  const described = readMetadata(content);
  return {
    name: manifest.name,
    version: numbered ? version : 0,
    model: describeFile(manifest, version, file, content),
    runtimeBytes,
    latentSize,
    ...{ width, height, channels },
    classNames: Array.from({ length: classes }, (_, i) => String(names[i] ?? i)),
    truncationAtMost: described?.latents?.truncation_at_most,
    framesPerSecond: described?.frames_per_second ?? manifest.frames_per_second ?? undefined,
    words: wordsOf(described?.interface ?? manifest.interface),
    picture: judges(manifest) ? undefined : pictureOf(described?.interface ?? manifest.interface),
    detector: judges(manifest) ? detectorOf(manifest, described) : undefined,
    directions: (manifest.directions ?? []).filter(({ latents }) => latents?.length === latentSize),
  };
}

/** A TFLite file as the page knows it. */
function describeFile(manifest, version, file, content) {
  // With the version in its name, a cache never gives the file of another.
  const numbered = Number.isInteger(version) ? `${version}-$1` : "$1";
  const name = path.basename(file).replace(/(\w+\.tflite)$/, numbered);
  const { licence } = manifest.data ?? {};
  const stated = typeof licence === "string" && licence !== "not stated" ? { licence } : {};
  const kind = /(\w+)\.tflite$/.exec(file)[1];
  return { file: name, bytes: content.length, sha256: sha256(content), kind, ...stated };
}

/** How pictures are brought to size, of a model that takes them; their size is in the file's signature. */
function pictureOf(described) {
  const picture = described?.inputs?.find(({ role }) => role === "image");
  return picture && { preprocessing: picture.preprocessing ?? {} };
}

/** Where a detector's verdict turns, what is known of its false alarms, and how pictures are brought to size. */
function detectorOf(manifest, described = {}) {
  const { threshold = 0.5, false_alarms: falseAlarms, false_alarms_interval: within } = { ...manifest, ...described };
  const { preprocessing = {} } = pictureOf(described.interface ?? manifest.interface) ?? {};
  return { threshold, falseAlarms, within, preprocessing };
}

/** How texts become what the file takes, of a model that takes words. */
function wordsOf(described) {
  const tokens = described?.inputs?.find(({ role }) => role === "tokens");
  if (!tokens) return undefined;
  const { vocabulary, folding, alone, shape } = tokens;
  if (!Array.isArray(vocabulary)) throw new BuildError("this model takes words, and its metadata has no vocabulary");
  return { vocabulary, folding, alone, length: shape[1] };
}

function sha256(content) {
  return createHash("sha256").update(content).digest("hex");
}

async function writePage(folder, name) {
  const { build } = await import("esbuild");
  const common = { bundle: true, minify: true, target: "es2022", legalComments: "none", logLevel: "error" };
  const source = (file) => path.join(HERE, "src", file);
  const bundles = [
    { entryPoints: [source("page/main.js")], outfile: path.join(folder, "page.js"), format: "iife" },
    { entryPoints: [source("worker.js")], outfile: path.join(folder, "genline-worker.js"), format: "iife" },
    { entryPoints: [source("generator.js")], outfile: path.join(folder, "genline.js"), format: "esm" },
    { entryPoints: [source("page.css")], outfile: path.join(folder, "page.css") },
  ];
  await Promise.all(bundles.map((bundle) => build({ ...common, ...bundle })));
  const page = await readFile(source("index.html"), "utf8");
  await writeFile(path.join(folder, "index.html"), page.replaceAll("{{name}}", name));
  await cp(source("icon.svg"), path.join(folder, "icon.svg"));
}

/** LiteRT's runtime, its wasm packed: it travels in a third of the bytes from any server. Gives the larger size. */
async function writeRuntime(folder) {
  const { transform } = await import("esbuild");
  const installed = path.join(path.dirname(createRequire(import.meta.url).resolve("@litertjs/core")), "..", "wasm");
  await mkdir(folder);
  const sizes = Object.entries(RUNTIMES).map(async ([name, original]) => {
    const { code } = await transform(await readFile(path.join(installed, `${original}.js`), "utf8"), { minify: true });
    await writeFile(path.join(folder, `${name}.js`), code);
    const packed = await promisify(gzip)(await readFile(path.join(installed, `${original}.wasm`)), { level: 9 });
    await writeFile(path.join(folder, `${name}.wasm.gz`), packed);
    return packed.length;
  });
  // LiteRT.js is under the same licence as genline: Apache 2.0, which wants its text to go along.
  await cp(path.join(HERE, "..", "..", "LICENSE"), path.join(folder, "LICENSE"));
  return Math.max(...(await Promise.all(sizes)));
}

/** A folder with other things in it is not ours to replace. */
async function checkReplaceable(out) {
  const names = await readdir(out).catch((error) => {
    if (error.code === "ENOENT") return [];
    throw new BuildError(`${out}: cannot write there (${error.code}), expected a folder or a free name`);
  });
  if (names.length && !names.includes("genline.js")) {
    throw new BuildError(`${out}: found other files in it, expected an empty folder or one that was built here`);
  }
}

/** Remove what builds that were killed have left: what is a day old. */
async function sweep(hidden) {
  const folder = path.dirname(hidden);
  for (const name of await readdir(folder)) {
    const left = path.join(folder, name);
    if (!left.startsWith(hidden)) continue;
    const { mtimeMs } = await stat(left).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(left, { recursive: true, force: true });
  }
}

/** Put a folder in the place of another; of two who do it at once each has been there whole. */
async function swap(staging, out) {
  const old = await mkdtemp(`${staging}-old-`);
  try {
    for (;;) {
      try {
        await rename(out, path.join(old, "out")).catch(unless("ENOENT"));
        return await rename(staging, out);
      } catch (error) {
        await rename(path.join(old, "out"), out).catch(() => {}); // nothing is lost where the new one cannot be put
        unless("ENOTEMPTY", "EEXIST")(error); // another was quicker: once more
        await rm(path.join(old, "out"), { recursive: true, force: true });
      }
    }
  } finally {
    await rm(old, { recursive: true, force: true });
  }
}

/** Throws an error again, unless it has one of these codes. */
function unless(...codes) {
  return (error) => {
    if (!codes.includes(error.code)) throw error;
  };
}

main().catch((error) => {
  const words = error instanceof BuildError || error.code ? error.message : error.stack;
  console.error(`client/web: ${words}`);
  process.exit(error.exitCode ?? 1);
});
