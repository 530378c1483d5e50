#!/bin/sh
# Serves one model of a repository with TensorFlow Serving, in Docker: on the GPU where there is one, else on the CPU.
#
# Settings, from the environment:
#   REPOSITORY  folder that holds a folder for each model      models
#   NAME        the model to serve                             digits
#   PORT        gRPC                                           8500
#   REST_PORT   REST                                           8501
#   IMAGE       the image, instead of the one chosen here
# Arguments go to tensorflow_model_server.
set -eu

REPOSITORY=${REPOSITORY:-models}
NAME=${NAME:-digits}
PORT=${PORT:-8500}
REST_PORT=${REST_PORT:-8501}
VERSION=2.19.1 # the newest that is published both for the CPU and with -gpu
here=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "run.sh: $1" >&2
    exit 1
}

# A version is a folder whose whole name is a number.
has_version() {
    for folder in "$1"/*/; do
        case $(basename "$folder") in
        *[!0-9]*) ;;
        *) return 0 ;;
        esac
    done
    return 1
}

# A driver that answers, and a Docker that can hand the GPU on: by the NVIDIA runtime, or by a CDI device.
has_gpu() {
    nvidia-smi -L >/dev/null 2>&1 &&
        docker info --format '{{json .}}' 2>/dev/null | grep -qE '"nvidia"|nvidia\.com/gpu'
}

# REST reads *_val fields, which are empty then: garbage, or the end of the process (util/json_tensor.cc).
content='' rest=open
for argument; do
    case $argument in
    --enable_serialization_as_tensor_content=[f0]*) content='' ;;
    --enable_serialization_as_tensor_content*) content=on ;;
    --rest_api_port=0) rest='' ;;
    --rest_api_port=*) rest=open ;;
    esac
done
[ -z "$content" ] || [ -z "$rest" ] ||
    fail "--enable_serialization_as_tensor_content breaks REST in TensorFlow Serving 2.19: add --rest_api_port=0, which also closes metrics"

has_version "$REPOSITORY/$NAME" ||
    fail "no version of $NAME under $REPOSITORY/$NAME: expected a folder such as $REPOSITORY/$NAME/1 (REPOSITORY, NAME)"
command -v docker >/dev/null 2>&1 ||
    fail "docker not found: install Docker, or serve without it: genserve --model_name $NAME --model_base_path $REPOSITORY/$NAME"
docker info >/dev/null 2>&1 ||
    fail "the Docker daemon does not answer: start it, or check that you may use it (docker info says more)"

if has_gpu; then
    # What CUDA compiles at the first run on a GPU newer than the image's kernels stays in a volume for the next.
    gpus="--gpus all --volume genline-kernels:/cache --env CUDA_CACHE_PATH=/cache/cuda --env CUDA_CACHE_MAXSIZE=4294967296"
    batching=batching_parameters.txt
    IMAGE=${IMAGE:-tensorflow/serving:$VERSION-gpu}
else
    gpus='' batching=batching_parameters.cpu.txt
    IMAGE=${IMAGE:-tensorflow/serving:$VERSION}
fi
repository=$(cd "$REPOSITORY" && pwd)
echo "run.sh: serving $NAME from $repository with $IMAGE, gRPC on $PORT, REST on $REST_PORT" >&2

# The image's entrypoint is a script that names the model by MODEL_NAME; here flags say all there is to say.
# $gpus is several words or none.
# shellcheck disable=SC2086
exec docker run --rm --init $gpus \
    --publish "$PORT:8500" --publish "$REST_PORT:8501" \
    --mount "type=bind,source=$repository,target=/models,readonly" \
    --mount "type=bind,source=$here,target=/config,readonly" \
    --entrypoint tensorflow_model_server \
    "$IMAGE" \
    --port=8500 --rest_api_port=8501 \
    --model_name="$NAME" --model_base_path="/models/$NAME" \
    --enable_batching --batching_parameters_file="/config/$batching" --grpc_max_threads=256 \
    --enable_grpc_healthcheck_service --monitoring_config_file=/config/monitoring.config \
    "$@"
