"""Disks that fail and containers that do not know each other, as a command's surroundings."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

# Fails one write to a path with $FAIL_WITHIN in it, as soon as a file $FAIL_ONCE is there, after $FAIL_AFTER others.
_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int passed;

static int fails(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, getenv("FAIL_WITHIN")) || access(getenv("FAIL_ONCE"), F_OK)) return 0;
  if (passed++ < atoi(getenv("FAIL_AFTER"))) return 0;
  passed = 0;
  unlink(getenv("FAIL_ONCE"));
  errno = EIO;
  return 1;
}

ssize_t write(int file, const void *content, size_t size) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  return fails(file) ? -1 : real(file, content, size);
}
"""


def in_container(command: list[object]) -> list[str]:
    """A command that is process 1 of a process-id namespace of its own, as in a container."""
    return [*_unshare("--pid", "--fork", "--mount-proc", "--kill-child"), *map(str, command)]


def on_small_disk(folder: Path, kilobytes: int, command: list[object]) -> list[str]:
    """A command for which `folder` is a disk of this size; what it leaves there is in `folder` when it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    left = folder.with_name(f"{folder.name}.left")
    inside = f"mount -t tmpfs -o size={kilobytes}k none '{folder}' && cp -a '{folder}.before/.' '{folder}' || exit 99; "
    inside += f"\"$@\"; code=$?; cp -a '{folder}' '{left}'; exit $code"
    outside = f"mv '{folder}' '{folder}.before' && mkdir '{folder}'; \"$@\"; code=$?; "
    outside += f"rmdir '{folder}' && mv '{left}' '{folder}'; rm -r '{folder}.before'; exit $code"
    return ["sh", "-c", outside, "sh", *_unshare("--mount"), "sh", "-c", inside, "sh", *map(str, command)]


def failing_once(folder: Path, within: str) -> dict[str, str]:
    """Variables for a command whose writes to paths with `within` in them fail once, each time $FAIL_ONCE is made."""
    source, library = folder / "failing.c", folder / "failing.so"
    source.write_text(_SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    once = folder / "fail-once"
    once.touch()
    names = {"LD_PRELOAD": library, "FAIL_WITHIN": within, "FAIL_ONCE": once, "FAIL_AFTER": 0}
    return {name: str(value) for name, value in names.items()}


@functools.cache
def _unshare(*what: str) -> tuple[str, ...]:
    """`unshare`, by this user's right or as a user of its own."""
    for who in ((), ("--user", "--map-root-user")):
        command = ("unshare", *who, *what)
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    pytest.skip(f"this machine lets nobody run unshare {' '.join(what)}")
