"""Examples in docstrings give what they show."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["images", "progress", "report.timelapse", "settings"])
def test_an_example_gives_what_it_shows(module: str) -> None:
    found = doctest.testmod(import_module(f"gentrain.{module}"))
    assert found.attempted
    assert not found.failed
