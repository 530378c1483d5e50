"""Lists of numbers as users write them for a load: `8`, `1,4,16`, `1:16` or, doubling, `1:16:2x`."""

from __future__ import annotations

import re

from genclient.errors import UsageError

MOST = 256
_RANGE = re.compile(r"(\d{1,6}):(\d{1,6})(?::(\d{1,6})(x?))?")


def parse_levels(text: str) -> list[int]:
    """The numbers of a list of numbers and ranges, START:END[:STEP], both ends included; `2x` doubles.

    Raises:
        UsageError: it is no such list, or a number is not 1 to 256.
    """
    levels: list[int] = []
    for part in text.split(","):
        levels += _part(part.strip(), text)
    for level in levels:
        if not 1 <= level <= MOST:
            raise UsageError(f"concurrency: found {level}, expected 1 to {MOST}")
    return list(dict.fromkeys(levels))


def _part(part: str, text: str) -> list[int]:
    if re.fullmatch(r"\d{1,6}", part):
        return [int(part)]
    match = _RANGE.fullmatch(part)
    if match is None:
        raise UsageError(f"concurrency: found {text!r}, expected numbers such as 8, 1,4,16, 1:16 or 1:16:2x")
    start, end, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if start < 1 or end < start or step < (2 if match[4] else 1):
        raise UsageError(f"concurrency: found {part!r}, expected START:END:STEP that grows from 1 or more")
    levels = [start]
    while (following := levels[-1] * step if match[4] else levels[-1] + step) <= min(end, MOST + 1):
        levels.append(following)
    return levels
