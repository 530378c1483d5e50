"""Servers that mean harm: whatever they answer, the client says one line, takes little memory, and goes on."""

import random
import struct
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from genclient import Client, ClientError, RpcError
from genclient.client.call import Call, Results
from genclient.client.schedule import Limits, Part, Plan, Schedule
from genclient.errors import MAX_MESSAGE
from genclient.latents.array import counted_seeds
from genclient.model.signature import ModelInfo, SignatureSpec, TensorSpec, model_info
from genclient.rpc import wire
from genclient.rpc.channel import METADATA, PREDICT, STATUS, Connection
from genclient.rpc.status import version_statuses
from genclient.rpc.target import parse_target
from genclient.tasks import IMAGE_GENERATION
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

CONNECTION = Connection(parse_target("localhost:8500"), 10)
ROWS = 4
MUTATIONS = 1000  # of each of the three kinds of responses
MEMORY = 60e6


def read_predict(content):
    """Read bytes as the response to a request for four images."""
    images = {"images": TensorSpec("float32", (None, 6, 4, 3)), "png_bytes": TensorSpec("string", (None,))}
    spec = SignatureSpec({"latents": TensorSpec("float32", (None, 5))}, images)
    binding = IMAGE_GENERATION.bind(ModelInfo("digits", 3, {"serving_default": spec}), "serving_default", {})
    examples = IMAGE_GENERATION.examples(binding, {"seeds": counted_seeds(0, ROWS)})
    schedule = Schedule(Plan(ROWS, 16, 64, 2**22, 2**25, None, 1, 10, 10), Limits())
    call = Call(CONNECTION, "digits", binding, examples, schedule, Results(binding, examples, None))
    call.arrived(Part(0, ROWS), content, 0, 0.0)
    return next(schedule.ready()).images


def read_metadata(content):
    """Read bytes as the description of a model, and try all its signatures."""
    info = model_info(CONNECTION.parse(METADATA, content), "digits", "localhost:8500")
    for name in info.signatures:
        IMAGE_GENERATION.bind(info, name, {})
    return info


def read_status(content):
    """Read bytes as the versions of a model."""
    return version_statuses(CONNECTION.parse(STATUS, content))


@pytest.fixture(scope="module")
def honest(tools):
    """Replies as servers give them, of each kind."""
    images = tools.render(tools.draw(range(ROWS)))
    encoded = {
        "images": [tools.as_values(images), tools.as_content(images), tools.as_values(tools.pixels(images))],
        "png_bytes": [tools.as_strings([tools.png(image) for image in tools.pixels(images)])],
    }
    predict = []
    for name, tensors in encoded.items():
        for tensor in tensors:
            response = predict_pb2.PredictResponse()
            response.model_spec.version.value = 3
            response.outputs[name].CopyFrom(tensor)
            predict.append(response.SerializeToString())
    metadata = tools.Prediction().GetModelMetadata(get_request(), None).SerializeToString()
    status = tools.Model([(3, "AVAILABLE", ""), (2, "END", "out of memory")]).GetModelStatus(get_request(), None)
    return {"predict": predict, "metadata": [metadata], "status": [status.SerializeToString()]}


def get_request():
    """A request about digits, which both services read."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "digits"
    return request


def mutated(content, chance):
    """Bytes changed, cut, doubled, or put in from elsewhere, near the head more often than not."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = (
            min(int(chance.expovariate(1 / 60)), len(data) - 1)
            if chance.random() < 0.7
            else chance.randrange(len(data))
        )
        what = chance.randrange(5)
        if what == 0:
            data[at] = chance.randrange(256)
        elif what == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif what == 2:
            del data[at : at + chance.randint(1, 40)]
        elif what == 3:
            data[at:at] = chance.randbytes(chance.randint(1, 12))
        else:  # a large number, as sizes are written
            data[at:at] = b"\xff" * chance.randint(1, 9) + b"\x01"
        data = data or bytearray(b"\x00")
    return bytes(data)


@pytest.mark.parametrize("kind", ["predict", "metadata", "status"])
def test_mutated_replies_are_read_or_refused(honest, kind):
    read = {"predict": read_predict, "metadata": read_metadata, "status": read_status}[kind]
    for content in honest[kind]:
        read(content)
    chance = random.Random(6)
    refused = []
    tracemalloc.start()
    try:
        for number in range(MUTATIONS):
            content = mutated(honest[kind][number % len(honest[kind])], chance)
            try:
                read(content)
            except ClientError as error:
                refused.append(str(error))
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert len(refused) > MUTATIONS / 4
    assert all(len(line) <= MAX_MESSAGE + 1 and line.isprintable() for line in refused)


def field(number, content):
    """A field of bytes, as protobuf writes it."""
    size, head = len(content), bytes([number << 3 | 2])
    while size > 0x7F:
        head += bytes([size & 0x7F | 0x80])
        size >>= 7
    return head + bytes([size]) + content


def output(tensor, name=b"images"):
    """A response with this tensor."""
    return field(1, field(1, name) + field(2, tensor))


EMPTY_DIMENSIONS = field(2, b"\x12\x00" * 2**19)
HARM = {
    "empty dimensions": output(b"\x08\x01" + EMPTY_DIMENSIONS),
    "empty strings": output(b"\x08\x07" + b"\x42\x00" * 2**19),
    "empty runs of floats": output(b"\x08\x01" + b"\x2a\x00" * 2**19),
    "outputs without end": b"\x0a\x00" * 2**19,
    "unknown fields": b"\x78\x01" * 2**19,
    "unknown fields in a tensor": output(b"\x08\x01" + b"\xf8\x07\x01" * 2**19),
    "deep nesting": output(b"\x13" * 2**20),
    "deep groups": b"\x7b" * 2**20 + b"\x7c" * 2**20,
    "a shape of terabytes": output(
        b"\x08\x01" + field(2, field(2, b"\x08\x04") + field(2, b"\x08\xff\xff\xff\xff\x7f"))
    ),
    "a size that lies": b"\x0a\xff\xff\xff\xff\x07" + b"abc",
    "rows that are not there": output(
        b"\x08\x01" + field(2, field(2, b"\x08\x04") + field(2, b"\x08\xcc\x08") * 2 + field(2, b"\x08\x03"))
    ),
}


@pytest.mark.parametrize("name", HARM)
def test_a_reply_made_to_fill_memory_does_not(name):
    content = HARM[name]
    start = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(ClientError):
            read_predict(content)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 30


def test_fields_beyond_reason_are_refused_before_they_are_parsed():
    with pytest.raises(ClientError, match=r"Predict that does not parse: more than 262144 fields"):
        CONNECTION.parse(PREDICT, HARM["empty dimensions"])
    with pytest.raises(ClientError, match=r"GetModelStatus that does not parse: more than 65536 fields"):
        CONNECTION.parse(STATUS, b"\x0a\x00" * 2**17)
    with pytest.raises(ClientError, match=r"does not parse: a field of wire type 3"):
        CONNECTION.parse(PREDICT, HARM["deep groups"])


def test_pictures_that_claim_more_than_their_bytes_can_hold_are_refused(tools):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def picture(width, height, data):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")

    for width, height in ((8000, 8000), (2**31 - 1, 2**31 - 1), (60000, 60000)):
        response = predict_pb2.PredictResponse()
        response.outputs["png_bytes"].CopyFrom(tools.as_strings([picture(width, height, b"x")] * ROWS))
        tracemalloc.start()
        try:
            with pytest.raises(ClientError, match=r"^png_bytes: found"):
                read_predict(response.SerializeToString())
            assert tracemalloc.get_traced_memory()[1] < 1e6
        finally:
            tracemalloc.stop()
    response.outputs["png_bytes"].CopyFrom(tools.as_strings([picture(100, 100, zlib.compress(bytes(10**7)))] * ROWS))
    assert read_predict(response.SerializeToString()).shape == (ROWS, 100, 100, 3)  # more data than pixels


@pytest.fixture
def raw():
    """Start a server that answers every call with bytes."""
    servers = []

    def start(content, **options):
        server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_send_message_length", -1)], **options)
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: content)
        methods = dict.fromkeys(("GetModelMetadata", "Predict"), handler)
        service = "tensorflow.serving.PredictionService"
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


def test_a_reply_larger_than_allowed_is_not_received(raw):
    with (
        Client(raw(bytes(2**21)), max_message_bytes=2**20) as client,
        pytest.raises(RpcError, match=r"RESOURCE_EXHAUSTED: .*larger than max"),
    ):
        client.info()


def test_a_small_message_that_unpacks_to_a_large_one_is_not_unpacked(raw):
    target = raw(bytes(2**26), compression=grpc.Compression.Gzip)
    with Client(target, max_message_bytes=2**20) as client, pytest.raises(RpcError, match=r"RESOURCE_EXHAUSTED"):
        client.info()


def test_a_model_with_many_signatures_is_named_shortly():
    table = get_model_metadata_pb2.SignatureDefMap()
    for number in range(5000):
        table.signature_def[f"signature {number}"].SetInParent()
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(table)
    with pytest.raises(ClientError) as raised:
        read_metadata(response.SerializeToString())
    with pytest.raises(ClientError) as raised:
        IMAGE_GENERATION.bind(
            model_info(CONNECTION.parse(METADATA, response.SerializeToString()), "digits", "x"), "none", {}
        )
    assert len(str(raised.value)) <= MAX_MESSAGE + 1


def test_too_many_signatures_are_refused_before_they_are_parsed():
    table = get_model_metadata_pb2.SignatureDefMap()
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(table)
    response.metadata["signature_def"].value = b"\x0a\x00" * 2**17
    with pytest.raises(ClientError, match="more than 65536 fields"):
        read_metadata(response.SerializeToString())


def test_an_error_in_words_without_end_is_cut():
    error = ClientError("x" * 10**7)
    assert len(str(error)) <= MAX_MESSAGE + 1


@pytest.mark.parametrize("count", [2**31 - 1, -1, 0])
def test_a_status_with_odd_numbers_is_read(count):
    response = wire.StatusResponse()
    response.model_version_status.add(version=count, state=count)
    assert read_status(response.SerializeToString())[0].version == count


def test_numbers_cut_off_in_the_middle_are_refused():
    for content in (b"\xac", b"\xff" * 11, b"\x01\x80"):
        response = wire.PredictResponse()
        tensor = response.outputs["images"]
        tensor.dtype, tensor.int_val[:] = 4, [content]
        for size in (ROWS, 1, 1, 1):
            tensor.shape.dim.add(size=size)
        with pytest.raises(ClientError, match=r"^images: found \d+ bytes of int_val, expected whole uint8 values"):
            read_predict(response.SerializeToString())
    assert np.array_equal(read_predict(honest_pixels()), np.full((ROWS, 1, 1, 1), 200))


def honest_pixels():
    """Four pixels of 200, in two bytes each."""
    response = wire.PredictResponse()
    tensor = response.outputs["images"]
    tensor.dtype, tensor.int_val[:] = 4, [b"\xc8\x01" * 3, b"\xc8\x01"]
    for size in (ROWS, 1, 1, 1):
        tensor.shape.dim.add(size=size)
    return response.SerializeToString()
