"""The generator in headless Chromium: builds the page of client/web, serves it here, and times its images."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

from common import ENVIRONMENT, ROOT, tell

WEB = ROOT / "client" / "web"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = """(async () => {
  const { Generator } = await import("./genline.js");
  const started = performance.now();
  const generator = await Generator.load("./");
  const load = performance.now() - started;
  for (let seed = 0; seed < 20; seed++) await generator.image(seed);
  const whole = [];
  for (let seed = 0; seed < COUNT; seed++) {
    const before = performance.now();
    await generator.image(seed);
    whole.push(performance.now() - before);
  }
  whole.sort((a, b) => a - b);
  return { load_ms: load, model_ms: generator.milliseconds, image_ms: whole[whole.length >> 1] };
})()"""


def browser_ms(version: Path, variant: str, count: int) -> dict[str, Any]:
    """Medians over `count` images: `model_ms` of LiteRT.js alone, `image_ms` from a seed to pixels, and `load_ms`.

    `missing` instead says what is not installed here, or what failed.
    """
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if not (chromium and shutil.which("node") and shutil.which("npm")):
        return {"missing": "node, npm or Chromium is not installed here"}
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page"
        steps: list[list[object]] = [[WEB / "build.sh", version, page, "--file", variant]]
        if not (WEB / "node_modules" / "playwright-core").exists():
            steps.insert(0, ["npm", "--prefix", WEB, "ci", "--no-progress"])
        for step in steps:
            done = subprocess.run([str(part) for part in step], capture_output=True, text=True, env=ENVIRONMENT)
            if done.returncode:
                tell(done.stderr)
                return {"missing": f"{Path(str(step[0])).name} failed"}
        return _drive(page, chromium, count)


def _drive(page: Path, chromium: str, count: int) -> dict[str, Any]:
    handler = partial(_Quiet, directory=str(page))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        commands = [
            {"open": address, "options": {}},
            {"call": "evaluate", "args": [PROGRAM.replace("COUNT", str(count))]},
        ]
        done = subprocess.run(
            ["node", str(WEB / "test" / "driver.mjs"), chromium, "--disable-gpu"],
            input="".join(json.dumps(command) + "\n" for command in commands),
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
        )
        server.shutdown()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(commands) or "error" in answers[-1]:
        tell(done.stdout + done.stderr)
        return {"missing": "the page failed in Chromium"}
    result: dict[str, Any] = answers[-1]["result"]
    return result


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""
