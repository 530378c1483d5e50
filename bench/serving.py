"""Serving: images a second and latency of genserve beside the call of the model itself and beside other servers, and
what swaps of versions, long runs, kills and bad clients do to it. Prints Markdown.

Every cell is kept; a measurement that was stopped goes on with the next one. Load comes from one light process
(serving_load.py) on the same cores as the server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import serving_stress as stress
from common import HERE, Cells, number, paragraph, table, tell
from serving_servers import MODELS, SERVERS, Running, in_process, serving

ROWS = (1, 16, 64)
CONNECTIONS = (1, 4, 16, 64)
TITLES = {"digits": "28×28 grey", "rgb64": "64×64 colour"}
TARGETS = {1: 0.6, 16: 0.9, 64: 0.9}  # of the best in-process rate, where the server is saturated


def measure(name: str, model: str, rows: int, seconds: float) -> dict[str, Any]:
    """One server, one size of request, all numbers of connections; `missing` says why there is nothing."""
    try:
        with serving(SERVERS[name], model, rows) as running:
            return {str(count): load(running, name, count, seconds) for count in CONNECTIONS}
    except LookupError as error:
        tell(str(error))
        return {"missing": str(error)}


def load(running: Running, name: str, connections: int, seconds: float) -> dict[str, Any]:
    """What the load process tells."""
    command = [sys.executable, str(HERE / "serving_load.py"), f"--port={running.port}", f"--seconds={seconds}"]
    command += [f"--request={running.request}", f"--connections={connections}", f"--warm_up={min(1.0, seconds / 3)}"]
    http = SERVERS[name].http
    command += ["--http", f"--path={http}"] if http else [f"--expect={running.answer_bytes}"]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


class Report:
    """The cells of one run, and the Markdown that they make."""

    def __init__(self, cells: Cells, seconds: float, servers: list[str], models: list[str]) -> None:
        """Nothing is measured yet."""
        self.cells, self.seconds, self.servers, self.models = cells, seconds, servers, models

    def cell(self, name: str, model: str, rows: int) -> dict[str, Any]:
        """One server and one size of request."""
        key = f"{name} {model} n={rows} {self.seconds:g} s"
        return self.cells.get(key, measure, name, model, rows, self.seconds)

    def ceiling(self, model: str, rows: int) -> dict[str, Any]:
        """The in-process call."""
        return self.cells.get(f"in-process {model} n={rows} {self.seconds:g} s", in_process, model, rows, self.seconds)

    def best(self, model: str, rows: int) -> float:
        """The best in-process rate over the numbers of threads, images a second."""
        return max(self.ceiling(model, rows)["images_per_second"].values())

    def rate(self, name: str, model: str, rows: int, connections: int) -> float:
        """Images a second that were answered rightly; 0 where the server is missing."""
        cell = self.cell(name, model, rows)
        if "missing" in cell or "seconds" not in cell[str(connections)]:
            return 0.0
        found = cell[str(connections)]
        return float((found["requests"] - found["errors"]) * rows / found["seconds"])

    def saturated(self, name: str, model: str, rows: int) -> float:
        """The best rate over the numbers of connections."""
        return max(self.rate(name, model, rows, count) for count in CONNECTIONS)

    def rows(self, model: str, rows: int) -> Iterator[list[str]]:
        """The table of one model and one size of request."""
        ceiling, best = self.ceiling(model, rows), self.best(model, rows)
        yield ["the call in-process", number(best), "1", number(ceiling["p50"]), "", "", ""]
        for name in self.servers:
            cell = self.cell(name, model, rows)
            if "missing" in cell:
                continue
            top = max(CONNECTIONS, key=lambda count: self.rate(name, model, rows, count))
            rate, lone = self.rate(name, model, rows, top), cell["1"]
            share = f"{rate / best:.2f} at {top}"
            times = [number(cell[str(top)][f"p{percent}"]) for percent in (50, 90, 99)]
            yield [SERVERS[name].title, number(rate), share, number(lone["p50"]), *times]

    def details(self, model: str) -> str:
        """Rate and percentiles for every number of connections."""
        head = ["", "n", *(f"{count} {what}" for count in CONNECTIONS for what in ("img/s", "p50/p90/p99 ms"))]
        lines = []
        for name in self.servers:
            for rows in ROWS:
                cell = self.cell(name, model, rows)
                if "missing" in cell:
                    continue
                line = [SERVERS[name].title, str(rows)]
                for count in CONNECTIONS:
                    found = cell[str(count)]
                    times = "/".join(number(found.get(f"p{percent}", 0.0)) for percent in (50, 90, 99))
                    line += [number(self.rate(name, model, rows, count)), times]
                lines.append(line)
        return table(head, lines)

    def summary(self, model: str) -> str:
        """What was aimed at, and what was reached."""
        found = []
        ours = [name for name in self.servers if name in ("genserve", "batching")]
        others = [name for name in self.servers if name not in ("genserve", "batching", "tflite")]
        for rows in ROWS:
            rate = max((self.saturated(name, model, rows) for name in ours), default=0.0)
            text = f"n={rows}: {rate / self.best(model, rows):.2f} of the in-process rate (aim {TARGETS[rows]})"
            peers = {name: self.saturated(name, model, rows) for name in others}
            if present := {name: peer for name, peer in peers.items() if peer}:
                fastest = max(present, key=lambda name: present[name])
                text += f", {rate / present[fastest]:.1f} times {SERVERS[fastest].title}"
            found.append(text)
        lone = [cell["1"]["p50"] for name in ours if "1" in (cell := self.cell(name, model, 1))]
        if lone:
            more = min(lone) - self.ceiling(model, 1)["p50"]
            found.append(f"a lone request of one image takes {number(more)} ms more than the call (aim 1)")
        if "tflite" in self.servers:
            ratio = self.saturated("tflite", model, 64) / max(self.saturated("genserve", model, 64), 1e-9)
            found.append(f"with `--prefer_tflite_model` {ratio:.1f} times the SavedModel at n=64 (aim 2)")
        return "; ".join(found) + "."

    def markdown(self) -> str:
        """The section on speed."""
        head = ["", "images/s", "of in-process, at clients", "alone p50 ms", "p50 ms", "p90 ms", "p99 ms"]
        parts = [
            "## Serving: images a second and latency",
            "",
            "`make bench-serving`, or `python bench/serving.py`",
            "",
        ]
        for model in self.models:
            for rows in ROWS:
                parts += [
                    f"**{TITLES[model]}, {rows} image{'s' * (rows > 1)} a request**",
                    "",
                    table(head, self.rows(model, rows)),
                    "",
                ]
            parts += [paragraph(f"{TITLES[model]}: {self.summary(model)}"), ""]
            parts += [
                "<details><summary>every number of clients</summary>",
                "",
                self.details(model),
                "",
                "</details>",
                "",
            ]
        return "\n".join([*parts, paragraph(self.notes()), ""])

    def notes(self) -> str:
        """How to read the tables, and who is missing."""
        text = f"""
            Each cell is one run of {self.seconds:g} s, measured {self.cells.days()}; load and server share the cores.
            The second column is the best rate over 1, 4, 16 and 64 clients, each with one request under way, the
            third how many clients that took, the last three their latencies; `alone` is one client. In-process is
            the call of the same session in a loop, the best of 1, 2, 4 and 16 threads. The plain grpcio server runs
            the model once for each request; LitServe and BentoML batch up to 64 rows and get raw numbers in base64,
            which costs them less than JSON's decimals. PyTriton 0.7 is left out: with Python 3.11.7 its Python stub,
            of an older 3.11, ends with `'_thread.RLock' object has no attribute '_recursion_count'` in the
            standard library (`python bench/serving.py --pytriton` tries again)."""
        missing = {
            name: self.cell(name, model, rows) for name in self.servers for model in self.models for rows in ROWS
        }
        gone = [f"{SERVERS[name].title}: {cell['missing']}" for name, cell in missing.items() if "missing" in cell]
        return text + (f" Left out: {'; '.join(gone)}." if gone else "")


def main() -> None:
    """Measure what is not kept yet, print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each cell (default: 5)")
    parser.add_argument("--servers", nargs="*", choices=SERVERS, default=list(SERVERS), metavar="NAME")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS), metavar="NAME")
    parser.add_argument("--only", choices=("speed", "stress"), help="a half of it")
    parser.add_argument("--soak", type=int, default=200_000, metavar="IMAGES", help="of the long run (default: 200000)")
    parser.add_argument("--swaps", type=int, default=10, help="of versions (default: 10)")
    parser.add_argument(
        "--pytriton", action="store_true", help="try whether PyTriton comes up here, and do nothing else"
    )
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    options = parser.parse_args()
    if options.pytriton:
        print(stress.try_pytriton())
        return
    cells = Cells("serving", options.again)
    if options.only != "stress":
        print(Report(cells, options.seconds, options.servers, options.models).markdown())
    if options.only != "speed":
        print(stress.markdown(cells, options.seconds, options.swaps, options.soak))


if __name__ == "__main__":
    main()
