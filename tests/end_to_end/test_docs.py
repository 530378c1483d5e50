"""What README and the guides tell a reader to type and where they send them: it is there."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "serving/deploy/*.md", "client/*/*.md", "bench/README.md")
    for page in ROOT.glob(pattern)
)
CODE = re.compile(r"^(?: {4}|\$ )(.+)$", re.MULTILINE)
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The words of each command in the code of a page, up to a comment, a pipe or a semicolon."""
    code = "\n".join([*CODE.findall(text), *FENCED.findall(text)]).replace("\\\n", " ")
    found = []
    for line in code.splitlines():
        start = re.search(r"(?:^|[\s;|&(/])(gentrain|genexport|genclient) (?=[a-z-])", line)
        if start and not line.startswith("from "):
            words = re.split(r"\s#|[;|&)]|\s>", line[start.start(1) :])[0]
            found.append(
                shlex.split(words.replace("…", "")) if words.count('"') % 2 == words.count("'") % 2 == 0 else []
            )
    return [words for words in found if words]


@pytest.fixture(scope="module")
def programs() -> dict[str, click.Group]:
    """The click group of each command that genline installs."""
    scripts = {entry.name: entry for entry in entry_points(group="console_scripts") if entry.value.startswith("gen")}
    return {name: importlib.import_module(scripts[name].module).cli for name in ("gentrain", "genexport", "genclient")}


def options_of(command: click.Command) -> set[str]:
    return {"--help", "-h", *(name for item in command.params for name in (*item.opts, *item.secondary_opts))}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_and_options_that_a_page_shows_are_there(page: str, programs: dict[str, click.Group]) -> None:
    for program, *words in commands((ROOT / page).read_text()):
        group = programs[program]
        context = click.Context(group)
        subcommand = next((word for word in words if word in group.list_commands(context)), None)
        known = options_of(group) | {"--version"}
        if subcommand is not None:
            found = group.get_command(context, subcommand)
            assert found is not None
            known |= options_of(found)
        shown = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert shown <= known, f"{program} {' '.join(words)}"
        assert subcommand or shown, f"{program} {' '.join(words)}: no such command"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


ROOMS = {"gentrain": "training", "genexport": "export", "genserve": "serving", "genclient": "client"}


def test_the_files_functions_and_packages_that_a_contributor_is_led_through_are_there() -> None:
    room = None
    for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines():
        if named := re.search(r"files in `\w+/(\w+)/`", line):
            room = ROOT / ROOMS[named[1]] / named[1]
        if table := re.match(r"\| `(\w+/gen\w+)` \| (.*) \|", line):
            for package in re.findall(r"\w+", table[2]):
                assert list((ROOT / table[1]).glob(f"{package}*")), f"{table[1]}/{package}"
        for name, path in re.findall(r"`(gen\w+)/([\w/.]*)`", line):
            assert (ROOT / ROOMS[name] / name / path).exists(), f"{name}/{path}"
        for path, symbols in re.findall(r"`([a-z]\w*/\w+\.py|\w+\.py)(?::([\w.]+))?`", line):
            if room is None or not re.match(r"\d\.|   ", line):
                continue
            text = (room / path).read_text()
            for symbol in filter(None, symbols.split(".")):
                assert re.search(rf"^\s*(async )?(def|class) {symbol}\b|^{symbol}\b", text, re.MULTILINE), path + symbol


PACKAGES = sorted(
    init.parent.relative_to(ROOT).as_posix()
    for room in ("training/gentrain", "export/genexport", "serving/genserve", "client/genclient")
    for init in (ROOT / room).rglob("__init__.py")
)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_docstring_of_a_package_names_each_of_its_files(package: str) -> None:
    folder = ROOT / package
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    missing = sorted(name for name in files | packages if not re.search(rf"\b{name}\b", docstring))
    assert not missing, f"{package}/__init__.py does not say what these are for"
