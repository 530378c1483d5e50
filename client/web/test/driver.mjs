/**
 * A headless Chromium that obeys lines of JSON: what tests/client/web drives the page with. Each line on
 * stdin is one command, each line on stdout its answer: {"result": …} or {"error": "…"}.
 *
 *     node driver.mjs CHROMIUM [FLAG …]         flags of Chromium beside the usual ones
 *
 *     {"open": "http://…", "options": {…}}      a fresh page, with playwright's options of a browser context
 *     {"call": "keyboard.press", "args": […]}   any method of playwright's page
 *     {"download": "#save-image"}               what a click there saves: its name, and its content in base64
 *     {"requests": true}                        the addresses asked for since the page was opened
 *     {"complaints": true}                      what the console called an error or a warning since then
 */

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ARGUMENTS = [
  ...["--no-sandbox", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", // nothing else is to be reached
];
const browser = await chromium.launch({ executablePath: process.argv[2], args: [...ARGUMENTS, ...process.argv.slice(3)] });

let page;
let requests = [];
let complaints = [];

async function open(url, options) {
  await page?.context().close();
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  [requests, complaints] = [[], []];
  context.on("request", (request) => requests.push(request.url()));
  page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
}

async function call(method, args) {
  const names = method.split(".");
  const owner = names.slice(0, -1).reduce((object, name) => object[name], page);
  const result = await owner[names.at(-1)](...args);
  return ["object", "undefined"].includes(typeof result) && method !== "evaluate" ? null : result;
}

async function download(selector) {
  const [saved] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
  return { name: saved.suggestedFilename(), content: (await readFile(await saved.path())).toString("base64") };
}

async function obey(command) {
  if (command.open) return open(command.open, command.options);
  if (command.call) return call(command.call, command.args);
  if (command.download) return download(command.download);
  return command.requests ? requests : complaints;
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await obey(JSON.parse(line)).then(
    (result) => ({ result: result ?? null }),
    (error) => ({ error: String(error.message) }),
  );
  console.log(JSON.stringify(answer));
}
await browser.close();
