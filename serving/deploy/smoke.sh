#!/bin/sh
# Asks a server everything that TensorFlow Serving answers (tests/serving/black_box): the real one, genserve, or any other.
#
#   smoke.sh                                             publishes a tiny generator, starts genserve and asks that
#   smoke.sh --target HOST:PORT                          asks what serves gRPC there
#   smoke.sh --target HOST:PORT --rest HOST:PORT --model NAME
#
# --model is the name of a generator that genexport published (digits unless given). What the server has not (REST, health)
# is skipped with the reason. --rough adds empty batches and broken bytes, which may end a TensorFlow Serving that batches:
# not for one that people use. Without --target they are sent. Further options go to pytest: -k rest, -x, -v.
# Needs: pip install '.[serve,dev]'; without --target '.[all,dev]'. PYTHON names another interpreter.
set -eu

fail() {
    echo "smoke.sh: $1" >&2
    exit "${2:-1}"
}

root=$(cd "$(dirname "$0")/../.." && pwd)
target='' rest='' model=digits rough=''
while [ $# -gt 0 ]; do
    case $1 in
    --target=* | --rest=* | --model=*)
        option=${1%%=*} value=${1#*=}
        shift
        ;;
    --target | --rest | --model)
        [ $# -ge 2 ] || fail "$1: found nothing after it, expected a value" 2
        option=$1 value=$2
        shift 2
        ;;
    --rough)
        rough=1
        shift
        continue
        ;;
    -h | --help)
        sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"
        exit 0
        ;;
    *) break ;;
    esac
    [ -n "$value" ] || fail "$option: found nothing after it, expected a value" 2
    case $option in
    --target) target=$value ;;
    --rest) rest=$value ;;
    --model) model=$value ;;
    esac
done
[ -n "$target" ] || [ -z "$rest" ] || fail "--rest needs --target: the server that is started here has a port of its own" 2

if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ ! -x "$root/.venv/bin/python" ] || PYTHON=$root/.venv/bin/python
fi
command -v "$PYTHON" >/dev/null 2>&1 || fail "$PYTHON not found: install Python 3.10 or later, or set PYTHON"

needs="grpc numpy pytest tensorflow_serving genclient" extra=serve
[ -n "$target" ] || needs="$needs genexport genserve ai_edge_litert" extra=all
# shellcheck disable=SC2086 # several words
missing=$("$PYTHON" - $needs <<'PY'
import importlib.util, sys
print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])
PY
)
[ -z "$missing" ] || fail "$PYTHON has no $missing: pip install '.[$extra,dev]'"

# Quickly, before TensorFlow is imported: whether anybody is there at all.
for address in $target $rest; do
    problem=$("$PYTHON" - "$address" <<'PY'
import socket, sys
host, colon, port = sys.argv[1].rpartition(":")
if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
    print("expected HOST:PORT")
else:
    try:
        socket.create_connection((host.strip("[]"), int(port)), 5).close()
    except OSError as error:
        print(f"nobody answers there: {error.strerror or error}")
PY
    )
    case $problem in
    '') ;;
    expected*) fail "address: found $address, $problem" 2 ;;
    *) fail "$address: $problem" ;;
    esac
done

# Not the fixtures above black_box: nothing there is known of any server but the one asked.
export GENLINE_TARGET="$target" GENLINE_REST="$rest" GENLINE_MODEL="$model" GENLINE_ROUGH="$rough"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}"
exec "$PYTHON" -m pytest -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider \
    --confcutdir "$root/tests/serving/black_box" "$root/tests/serving/black_box" "$@"
