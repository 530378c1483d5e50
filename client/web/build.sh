#!/usr/bin/env bash
# A static folder with a page that runs a published generator: client/web/build.sh models/digits OUT
# Takes node 20 or newer; fetches what package-lock.json names from npm the first time.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

fail() {
  echo "client/web: $1" >&2
  exit "${2:-1}"
}

[ $# -ge 2 ] || fail 'usage: client/web/build.sh MODEL OUT [--file dynamic|float32|float16|int8]' 2
command -v node >/dev/null || fail 'node not found, expected node 20 or newer (on Debian: apt-get install nodejs npm)'
node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' ||
  fail "found node $(node --version), expected node 20 or newer"
installed="$here/node_modules/.package-lock.json"
if [ ! -e "$installed" ] || [ "$here/package-lock.json" -nt "$installed" ]; then
  command -v npm >/dev/null || fail 'npm not found (on Debian: apt-get install npm)'
  log="$(mktemp)"
  trap 'rm -f "$log"' EXIT
  (cd "$here" && npm ci --omit=dev --no-progress) >"$log" 2>&1 ||
    fail "npm ci failed: $(grep -m 1 'npm error' "$log" || tail -n 1 "$log")"
  touch "$installed"
fi
node "$here/build.mjs" "$@"
