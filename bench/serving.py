"""Serving: images a second and latency of genserve beside the call of the model itself and beside other servers, and
what swaps of versions, long runs, kills and bad clients do to it. Prints Markdown.

All that answer requests of one size are up at once and take turns, the others asleep, for a machine's speed changes
within minutes. What is measured is kept; a measurement that was stopped goes on with the next size. Load comes from one
light process (serving_load.py) on the same cores as the server.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import serving_stress as stress
from common import HERE, Cells, number, paragraph, table, tell
from serving_servers import MODELS, SERVERS, Running, in_process, serving

ROWS = (1, 16, 64)
CONNECTIONS = (1, 4, 16, 64)
THREADS = (1, 2, 4, 16)  # of the call in-process
TITLES = {"digits": "28×28 grey", "rgb64": "64×64 colour"}
TARGETS = {1: 0.6, 16: 0.9, 64: 0.9}  # of the best in-process rate, where the server is saturated


IN_PROCESS = "in-process"
WARM_UP = 0.3  # seconds at the start of every turn that do not count


def measure(model: str, rows: int, names: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """All servers and the call in-process in turns, so many rounds of all numbers of connections.

    Name → number of connections (in-process: of threads) → one finding a round; or {"missing": why}.
    """
    found: dict[str, Any] = {IN_PROCESS: {str(count): [] for count in THREADS}}
    up: dict[str, Running] = {}
    with ExitStack() as stack:
        call = stack.enter_context(in_process(model, rows))
        for name in names:
            try:
                up[name] = stack.enter_context(serving(SERVERS[name], model, rows))
                up[name].sleep()
                found[name] = {str(count): [] for count in CONNECTIONS}
            except LookupError as error:
                tell(str(error))
                found[name] = {"missing": str(error)}
        # First everything that a lone client asks, for load may change how a server treats who comes after it.
        steps = list(zip(THREADS, CONNECTIONS, strict=True))
        for part in (steps[:1], steps[1:]):
            for turn in range(rounds):
                for threads, connections in part:
                    found[IN_PROCESS][str(threads)].append(call(threads, seconds))
                    # The other way round every second time, so that nobody always follows the same one.
                    for name in list(up)[:: -1 if turn % 2 else 1]:
                        with up[name].awake():
                            found[name][str(connections)].append(load(up[name], name, connections, seconds))
    return found


def load(running: Running, name: str, connections: int, seconds: float) -> dict[str, Any]:
    """What the load process tells."""
    command = [sys.executable, str(HERE / "serving_load.py"), f"--port={running.port}", f"--seconds={seconds}"]
    command += [f"--request={running.request}", f"--connections={connections}", f"--warm_up={WARM_UP}"]
    http = SERVERS[name].http
    command += ["--http", f"--path={http}"] if http else [f"--expect={running.answer_bytes}"]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def ratio(ours: list[float], others: list[float]) -> float:
    """The median of the quotients within the rounds, between which the speed of a machine changes."""
    pairs = zip(ours, others, strict=True)
    return statistics.median(ours / others if others else 0.0 for ours, others in pairs)


def _each(turns: list[dict[str, Any]], name: str) -> list[float]:
    return [turn.get(name, 0.0) for turn in turns]


class Report:
    """The cells of one run, and the Markdown that they make."""

    def __init__(self, cells: Cells, options: argparse.Namespace) -> None:
        """Nothing is measured yet."""
        self.cells, self.rounds, self.seconds = cells, options.rounds, options.seconds
        self.servers, self.models = options.servers, options.models

    def cell(self, name: str, model: str, rows: int) -> dict[str, Any]:
        """One server and one size of request; measured with all the others."""
        key = f"{model} n={rows} {self.rounds} × {self.seconds:g} s {' '.join(self.servers)}"
        found: dict[str, Any] = self.cells.get(key, measure, model, rows, self.servers, self.rounds, self.seconds)[name]
        return found

    def best(self, model: str, rows: int) -> list[float]:
        """The in-process rates of the best number of threads, images a second, one a round."""
        rates = [_each(turns, "images_per_second") for turns in self.cell(IN_PROCESS, model, rows).values()]
        return max(rates, key=statistics.median)

    def alone(self, name: str, model: str, rows: int) -> float:
        """p50 of the lone client, or of the one thread, in milliseconds."""
        return self.time(name, model, rows, 1, 50)

    def time(self, name: str, model: str, rows: int, connections: int, percent: int) -> float:
        """A percentile of the latency in milliseconds, the median over the rounds; 0 where nothing was answered."""
        turns = self.cell(name, model, rows)[str(connections)]
        return statistics.median(turn.get(f"p{percent}", 0.0) for turn in turns)

    def rates(self, name: str, model: str, rows: int, connections: int) -> list[float]:
        """Images a second that were answered rightly, one a round; 0 where the server is missing or was lost."""
        turns = self.cell(name, model, rows).get(str(connections), [])
        answered = [(turn["requests"] - turn["errors"]) * rows / turn.get("seconds", math.inf) for turn in turns]
        return answered or [0.0] * self.rounds

    def rate(self, name: str, model: str, rows: int, connections: int) -> float:
        """The median over the rounds."""
        return statistics.median(self.rates(name, model, rows, connections))

    def top(self, name: str, model: str, rows: int) -> int:
        """The number of connections with the best rate."""
        return max(CONNECTIONS, key=lambda count: self.rate(name, model, rows, count))

    def saturated(self, name: str, model: str, rows: int) -> list[float]:
        """The rates at the best number of connections, one a round."""
        return self.rates(name, model, rows, self.top(name, model, rows))

    def rows(self, model: str, rows: int) -> Iterator[list[str]]:
        """The table of one model and one size of request."""
        best = self.best(model, rows)
        alone = number(self.alone(IN_PROCESS, model, rows))
        yield ["the call in-process", number(statistics.median(best)), "1", alone, "", "", ""]
        for name in self.servers:
            if "missing" in self.cell(name, model, rows):
                continue
            top = self.top(name, model, rows)
            rate = self.rate(name, model, rows, top)
            times = [number(self.time(name, model, rows, top, percent)) for percent in (50, 90, 99)]
            alone = number(self.alone(name, model, rows))
            part = ratio(self.saturated(name, model, rows), best)
            yield [SERVERS[name].title, number(rate), f"{part:.2f} at {top}", alone, *times]

    def details(self, model: str) -> str:
        """Rate and percentiles for every number of connections."""
        head = ["", "n", *(f"{count} {what}" for count in CONNECTIONS for what in ("img/s", "p50/p90/p99 ms"))]
        lines = []
        for name in self.servers:
            for rows in ROWS:
                if "missing" in self.cell(name, model, rows):
                    continue
                line = [SERVERS[name].title, str(rows)]
                for count in CONNECTIONS:
                    times = "/".join(number(self.time(name, model, rows, count, percent)) for percent in (50, 90, 99))
                    line += [number(self.rate(name, model, rows, count)), times]
                lines.append(line)
        return table(head, lines)

    def summary(self, model: str) -> str:
        """What was aimed at, and what was reached."""
        found = []
        ours = [name for name in self.servers if name in ("genserve", "batching")]
        others = [name for name in self.servers if name not in ("genserve", "batching", "tflite", "rest")]
        for rows in ROWS:
            rates = max((self.saturated(name, model, rows) for name in ours), key=statistics.median, default=[0.0])
            part = ratio(rates, self.best(model, rows))
            text = f"n={rows}: {part:.2f} of the in-process rate (aim {TARGETS[rows]})"
            peers = {name: self.saturated(name, model, rows) for name in others}
            fastest = max(peers, key=lambda name: statistics.median(peers[name]), default=None)
            if fastest and any(peers[fastest]):
                text += f", {ratio(rates, peers[fastest]):.2f} times {SERVERS[fastest].title}"
            found.append(text)
        lone = [self.more(name, model) for name in ours if "missing" not in self.cell(name, model, 1)]
        if lone:
            found.append(f"a lone request of one image takes {number(min(lone))} ms more than the call (aim 1)")
        if "tflite" in self.servers and "genserve" in self.servers:
            times = ratio(self.saturated("tflite", model, 64), self.saturated("genserve", model, 64))
            found.append(f"with `--prefer_tflite_model` {times:.2f} times the SavedModel at n=64 (aim 2)")
        return "; ".join(found) + "."

    def more(self, name: str, model: str) -> float:
        """By how many milliseconds a lone request of one image is slower than the call, the median over the rounds."""
        cells = [_each(self.cell(which, model, 1)["1"], "p50") for which in (name, IN_PROCESS)]
        return statistics.median(served - called for served, called in zip(*cells, strict=True))

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
            Every figure is the median of {self.rounds} turns of {self.seconds:g} s, or of as long as it takes until
            each client has had two answers, at most five times that. For every number of clients the servers and the
            call in-process, all up at once, go one after another in each round, those that are not on turn stopped;
            what is compared is compared within a round. Measured {self.cells.days()}; load and server share the cores.
            The first column is the best rate over 1, 4, 16 and 64 clients, each with one request under way, the second
            how many clients that took, the last three their latencies; `alone` is one client, before there was load.
            In-process is the call of
            the same session in a loop, the best of 1, 2, 4 and 16 threads. The plain grpcio server runs the model once
            for each request; LitServe and BentoML batch up to 64 rows and get raw numbers in base64, which costs them
            less than the decimals of TensorFlow Serving's REST, which are the row of genserve's. BentoML's dispatcher
            adapts to the load: right after 64 clients a lone one waits 38 ms, seconds later 7. PyTriton 0.7 is left
            out: with Python 3.11.7 its Python stub, of an older 3.11, ends with `'_thread.RLock' object has no
            attribute '_recursion_count'` in the standard library (`python bench/serving.py --pytriton` tries again)."""
        missing = {
            name: self.cell(name, model, rows) for name in self.servers for model in self.models for rows in ROWS
        }
        gone = [f"{SERVERS[name].title}: {cell['missing']}" for name, cell in missing.items() if "missing" in cell]
        return text + (f" Left out: {'; '.join(gone)}." if gone else "")


def main() -> None:
    """Measure what is not kept yet, print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.8, help="of each turn (default: 0.8)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (default: 3)")
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
        print(Report(cells, options).markdown())
    if options.only != "speed":
        print(stress.markdown(cells, options.swaps, options.soak))


if __name__ == "__main__":
    main()
