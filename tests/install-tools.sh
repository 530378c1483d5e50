#!/bin/sh
# Install what tests use beyond pip, on Debian and Ubuntu: a browser and Node.js for the page, C and Kotlin compilers, curl,
# valgrind, Prometheus' promtool, and a cross compiler and emulator for ARM64. Where it may not install, it says what is
# missing; the tests that need it skip.
set -eu

missing=
want() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
want chromium chromium
want node nodejs
want npm npm
want gcc gcc
want g++ g++
want java default-jre-headless
want kotlinc kotlin
want make make
want curl curl
want valgrind valgrind
want shellcheck shellcheck
want promtool prometheus
want qemu-aarch64-static qemu-user-static
want aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
[ -d /usr/aarch64-linux-gnu/include ] || missing="$missing libc6-dev-arm64-cross"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    # One package at a time where all together fail, so that one which a release lacks takes no other with it.
    if apt-get update -qq && apt-get install -qq --yes --no-install-recommends $missing >/dev/null; then exit 0; fi
    failed=
    for package in $missing; do
        apt-get install -qq --yes --no-install-recommends "$package" >/dev/null || failed="$failed $package"
    done
    missing=$failed
    [ -n "$missing" ] || exit 0
fi
echo "tests/install-tools.sh: not installed:$missing; tests that need them are skipped" >&2
