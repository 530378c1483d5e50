"""Counters, histograms and gauges, and the Prometheus text format as TF Serving's exporter writes it.

Names keep the slashes of TF Serving's metrics as colons, `:tensorflow:serving:request_count`. prometheus-client cannot
be used, because it would append `_total`. monitoring.py defines what is measured.
Source: TF Serving's util/prometheus_exporter.cc; TensorFlow's core/lib/monitoring/.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

Labels = tuple[str, ...]

# A client may ask for any number of models that do not exist; each would have series of its own for good.
MAX_SERIES = 1000
MAX_LABEL = 4096  # letters, as many as a path may have
OTHERS = "(others)"


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """Bucket limits, each `growth` times the one before (TensorFlow's Buckets::Exponential)."""
    return [scale * growth**index for index in range(count)]


class Metric(ABC):
    """A name, a kind and the names of its labels; one of its series for each combination of their values."""

    kind = "untyped"

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        """No series yet; a name such as `/tensorflow/serving/request_count` becomes Prometheus' own."""
        self.name = "".join(letter if letter.isalnum() or letter == "_" else ":" for letter in name)
        self._about = about
        self._labels = tuple(labels)
        self._lock = threading.Lock()

    def lines(self) -> list[str]:
        """Its part of the page; nothing where it has no series."""
        body = self.series()
        return [f"# HELP {self.name} {self._about}", f"# TYPE {self.name} {self.kind}", *body] if body else []

    @abstractmethod
    def series(self) -> list[str]:
        """A line for each value."""

    def braced(self, values: Labels, *more: str) -> str:
        """Labels as `{name="value",…}`; `more` are already written."""
        named = (f'{name}="{_escaped(value)}"' for name, value in zip(self._labels, values, strict=True))
        return "{" + ",".join([*named, *more]) + "}"

    def _known(self, values: Labels, series: dict[Labels, object]) -> Labels:
        """These values, or those of all others where there are too many series already."""
        if values in series or (len(series) < MAX_SERIES and max(map(len, values), default=0) <= MAX_LABEL):
            return values
        return (OTHERS,) * len(values)


class Counter(Metric):
    """A monotonic counter."""

    kind = "counter"

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        """Zero everywhere."""
        super().__init__(name, about, labels)
        self._values: dict[Labels, float] = {}

    def add(self, amount: float, *labels: str) -> None:
        """Count."""
        with self._lock:
            key = self._known(labels, self._values)  # type: ignore[arg-type]
            self._values[key] = self._values.get(key, 0) + amount

    def series(self) -> list[str]:
        """A line for each combination of labels."""
        with self._lock:
            values = dict(self._values)
        return [f"{self.name}{self.braced(labels)} {number(value)}" for labels, value in values.items()]


class Histogram(Metric):
    """A histogram with fixed bucket limits."""

    kind = "histogram"

    def __init__(self, name: str, about: str, labels: Sequence[str], limits: Sequence[float]) -> None:
        """Empty; `limits` ascend, infinity is added."""
        super().__init__(name, about, labels)
        self._limits = list(limits)
        self._texts = [f'le="{limit:g}"' for limit in limits] + ['le="+Inf"']
        self._values: dict[Labels, tuple[list[int], list[float]]] = {}

    def add(self, value: float, *labels: str) -> None:
        """Count a value."""
        bucket = bisect_left(self._limits, value)
        with self._lock:
            cell = self._values.get(labels)
            if cell is None:
                key = self._known(labels, self._values)  # type: ignore[arg-type]
                cell = self._values.setdefault(key, ([0] * (len(self._limits) + 1), [0.0]))
            cell[0][bucket] += 1
            cell[1][0] += value

    def series(self) -> list[str]:
        """Buckets, sum and count for each combination of labels."""
        with self._lock:
            cells = [(labels, list(counts), total[0]) for labels, (counts, total) in self._values.items()]
        lines = []
        for labels, counts, total in cells:
            count = 0
            for text, more in zip(self._texts, counts, strict=True):
                count += more
                lines.append(f"{self.name}_bucket{self.braced(labels, text)} {count}")
            lines.append(f"{self.name}_sum{self.braced(labels)} {number(total)}")
            lines.append(f"{self.name}_count{self.braced(labels)} {count}")
        return lines


class Gauge(Metric):
    """Values that are read when the page is requested."""

    kind = "gauge"

    def __init__(
        self, name: str, about: str, labels: Sequence[str], collect: Callable[[], Iterable[tuple[Labels, float]]]
    ) -> None:
        """`collect` gives labels and value of each series."""
        super().__init__(name, about, labels)
        self._collect = collect

    def series(self) -> list[str]:
        """A line for each combination of labels."""
        return [f"{self.name}{self.braced(labels)} {number(value)}" for labels, value in self._collect()]


def page(metrics: Iterable[Metric]) -> bytes:
    """The page of all metrics in Prometheus' text format."""
    return ("\n".join(line for metric in metrics for line in metric.lines()) + "\n").encode()


def number(value: float) -> str:
    """A value as Prometheus reads it: integers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
