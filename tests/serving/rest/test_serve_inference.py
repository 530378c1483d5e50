"""Classify, Regress and MultiInference, over gRPC and REST, with TensorFlow Serving's checks."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve.errors import ServeError
from genserve.loading.loader import Loader
from genserve.loading.warmup import warm_up
from genserve.models.model import Model
from genserve.options.flags import Flags
from genserve.rpcs.classify import classify
from genserve.rpcs.classify import fill as classify_fill
from genserve.rpcs.examples import fill_spec
from genserve.rpcs.regress import fill as regress_fill
from genserve.rpcs.regress import regress
from genserve.runtime.saved_model import SavedModelServable
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, model_pb2, prediction_log_pb2, regression_pb2

INVALID, FAILED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION


def example(x=None, n=None):
    features = {}
    if x is not None:
        features["x"] = tf.train.Feature(float_list=tf.train.FloatList(value=[x]))
    if n is not None:
        features["n"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[n]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def spec(signature, name="examples"):
    return model_pb2.ModelSpec(name=name, signature_name=signature)


def with_examples(request, *examples, context=None):
    """The request with these Examples in it."""
    listed = request.input.example_list
    if context is not None:
        listed = request.input.example_list_with_context
        listed.context.CopyFrom(context)
    listed.examples.extend(examples)
    return request


def classification(signature, *examples, **options):
    return with_examples(classification_pb2.ClassificationRequest(model_spec=spec(signature)), *examples, **options)


def regression(signature, *examples, **options):
    return with_examples(regression_pb2.RegressionRequest(model_spec=spec(signature)), *examples, **options)


def inference(*tasks):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method, name in tasks:
        request.tasks.add(model_spec=spec(signature, name), method_name=f"tensorflow/serving/{method}")
    return with_examples(request, example(x=2.0))


def test_classify_answers_classes_with_scores(server):
    response = server.prediction.Classify(classification("classify", example(x=1.5), example(n=3)))
    classes = [[(each.label, each.score) for each in row.classes] for row in response.result.classifications]
    assert classes == [[("low", -1.5), ("high", 1.5)], [("low", -3.0), ("high", 3.0)]]
    assert (response.model_spec.name, response.model_spec.signature_name) == ("examples", "classify")
    assert response.model_spec.version.value == 1


def test_classify_does_without_labels(server):
    response = server.prediction.Classify(classification("scores", example(x=1.5)))
    assert [(each.label, each.score) for each in response.result.classifications[0].classes] == [("", -1.5), ("", 1.5)]


def test_regress_answers_a_number_for_each_example(server):
    response = server.prediction.Regress(regression("regress", example(x=1.5), example()))
    assert [each.value for each in response.result.regressions] == [15.0, 0.0]
    assert response.model_spec.version.value == 1


def test_context_is_part_of_each_example(server):
    request = regression("regress", example(n=1), example(n=2, x=9.0), context=example(x=0.5))
    assert [each.value for each in server.prediction.Regress(request).result.regressions] == [15.0, 110.0]


@pytest.mark.parametrize("prefix", ["head_", ""], ids=["one input for all", "an input for each, as TensorFlow 2 saves"])
def test_multi_inference_answers_all_tasks(server, prefix):
    tasks = [(f"{prefix}classify", "classify", "examples"), (f"{prefix}regress", "regress", "examples")]
    first, second = server.prediction.MultiInference(inference(*tasks)).results
    assert [each.score for each in first.classification_result.classifications[0].classes] == [-2.0, 2.0]
    assert [each.value for each in second.regression_result.regressions] == [20.0]
    assert (second.model_spec.signature_name, second.model_spec.version.value) == (f"{prefix}regress", 1)


def test_multi_inference_takes_the_default_signature_for_no_name_and_no_signature_twice(server, fails):
    unnamed, named = (("", "regress", "examples"), ("serving_default", "regress", "examples"))
    (result,) = server.prediction.MultiInference(inference(unnamed)).results
    assert [each.value for each in result.regression_result.regressions] == [20.0]
    assert result.model_spec.signature_name == "serving_default"
    with fails(INVALID, "Duplicate evaluation of signature: serving_default"):
        server.prediction.MultiInference(inference(unnamed, named))


@pytest.mark.parametrize(
    ("signature", "examples", "code", "message"),
    [
        ("none", 1, INVALID, "No signature was found with the name: none"),
        ("classify", 0, INVALID, "Input is empty."),
        ("flat", 1, INVALID, "Expected Tensor shape: [batch_size num_classes] but got [1]"),
        ("head", 1, INVALID, "Expected one or two output Tensors, found 3"),
    ],
)
def test_classify_refuses_what_is_no_classification(server, fails, signature, examples, code, message):
    with fails(code, message):
        server.prediction.Classify(classification(signature, *[example(x=1.0)] * examples))


def test_signature_without_the_inputs_of_its_method_is_shown(server):
    for call, request, kind in (
        (server.prediction.Classify, classification("blob", example()), "classification"),
        (server.prediction.Regress, regression("blob", example()), "regression"),
    ):
        with pytest.raises(grpc.RpcError) as failure:
            call(request)
        assert failure.value.code() is FAILED
        assert failure.value.details().startswith(f'No {kind} inputs found in SignatureDef: inputs {{\n  key: "s"')


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("double", "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
        ("short", "Input batch size did not match output batch size: 2 vs. 1"),
        ("classify", "Expected one output Tensor."),
    ],
)
def test_regress_refuses_what_is_no_regression(server, fails, signature, message):
    with fails(INVALID, message):
        server.prediction.Regress(regression(signature, example(), example()))


@pytest.mark.parametrize(
    ("tasks", "code", "message"),
    [
        ([], INVALID, "ModelSpec has no name specified."),
        (
            [("head_regress", "regress", "examples"), ("head_regress", "regress", "examples")],
            INVALID,
            "Duplicate evaluation of signature: head_regress",
        ),
        (
            [("head_regress", "regress", "examples"), ("head_classify", "classify", "toy")],
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        ([("none", "regress", "examples")], INVALID, "Requested signature not found in model graph: none"),
        (
            [("head", "predict", "examples")],
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
def test_multi_inference_refuses_tasks_that_do_not_go_together(server, fails, tasks, code, message):
    with fails(code, message):
        server.prediction.MultiInference(inference(*tasks))


def test_method_name_is_checked_only_where_asked(examples_path):
    model = Model("examples", examples_path, SavedModelServable.load)
    model.poll()
    models = {"examples": model}
    ours = "tensorflow/serving/predict"
    for answer, request, kind, method in (
        (classify, classification("flat", example()), "classification", "classify"),
        (regress, regression("double", example()), "regression", "regress"),
    ):
        with pytest.raises(ServeError, match=r"Expected (Tensor shape|output Tensor)"):
            answer(models, request)
        expected = f"Expected {kind} signature method_name to be tensorflow/serving/{method}. Was: {ours}"
        with pytest.raises(ServeError) as failure:
            answer(models, request, check_method=True)
        assert failure.value.message == expected


def described(**outputs):
    """A signature with these outputs, each of the tensor of its name."""
    signature = meta_graph_pb2.SignatureDef()
    for alias in outputs:
        signature.outputs[alias].name = alias
    return signature


def test_column_of_numbers_is_a_regression():
    result, values = regression_pb2.RegressionResult(), {"outputs": np.array([[1.5], [2.5]], np.float32)}
    regress_fill(result, described(**values), 2, values)
    assert [each.value for each in result.regressions] == [1.5, 2.5]


def test_classes_may_come_without_scores_but_not_with_others_than_theirs():
    result = classification_pb2.ClassificationResult()
    classes, scores = np.array([[b"low", b"high"]], object), np.zeros((1, 3), np.float32)
    classify_fill(result, described(classes=0), 1, {"classes": classes})
    assert [(each.label, each.score) for each in result.classifications[0].classes] == [("low", 0.0), ("high", 0.0)]
    with pytest.raises(ServeError) as failure:
        classify_fill(result, described(classes=0, scores=0), 1, {"classes": classes, "scores": scores})
    assert failure.value.message == "Tensors class and score should match in dim_size(1). Got 2 vs. 3"


def test_answer_names_the_signature_that_was_asked_for_by_no_name(loaded):
    spec = model_pb2.ModelSpec()
    fill_spec(spec, loaded, model_pb2.ModelSpec(name="examples"), "serving_default")
    assert (spec.name, spec.signature_name, spec.version.value) == ("examples", "serving_default", 1)


HEADS = [("head_classify", "classify", "nobody"), ("head_regress", "regress", "nobody")]


def write_warmup(version, **requests):
    """One record for each kind of log."""
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for kind, request in requests.items():
            record = prediction_log_pb2.PredictionLog()
            if request is not None:
                getattr(record, kind).request.CopyFrom(request)
            writer.write(record.SerializeToString())


@pytest.fixture
def version(examples_path, copy_version, tmp_path):
    return copy_version(next(examples_path.iterdir()), tmp_path / "1")


@pytest.fixture
def loaded(version):
    servable = SavedModelServable.load("examples", 1, version)
    yield servable
    servable.close()


def test_warmup_replays_requests_of_examples_too(loaded, version, caplog):
    write_warmup(
        version,
        classify_log=classification("classify", example(x=1.0)),
        regress_log=regression("regress", example(x=1.0)),
        multi_inference_log=inference(*HEADS),
        none=None,
    )
    with caplog.at_level("INFO"):
        warm_up(loaded, version)
    assert "warmed up with 4 requests" in caplog.text


@pytest.mark.parametrize(
    ("kind", "request_", "message"),
    [
        ("classify_log", classification("none", example()), "No signature was found with the name: none"),
        ("regress_log", regression("classify", example()), "Expected one output Tensor."),
        ("multi_inference_log", inference(HEADS[0], HEADS[0]), "Duplicate evaluation of signature: head_classify"),
        ("multi_inference_log", inference(), "Inference request has no tasks."),
    ],
)
def test_warmup_fails_with_what_the_request_fails_with(loaded, version, kind, request_, message):
    write_warmup(version, **{kind: request_})
    with pytest.raises(ServeError) as failure:
        warm_up(loaded, version)
    assert failure.value.message.endswith(f"tf_serving_warmup_requests: {message}")
    assert failure.value.code is INVALID


def test_version_whose_warmup_fails_is_closed(version, monkeypatch):
    write_warmup(version, multi_inference_log=inference())
    closed, close = [], SavedModelServable.close
    monkeypatch.setattr(SavedModelServable, "close", lambda servable: closed.append(servable) or close(servable))
    with pytest.raises(ServeError):
        Loader(Flags(model_base_path="m"))("examples", 1, version)
    assert len(closed) == 1


def test_rest_classifies_and_regresses(rest):
    body = {"signature_name": "classify", "examples": [{"x": 1.5}, {"n": [3]}]}
    reply = rest.post("/v1/models/examples:classify", body)
    assert reply.text == ('{\n    "results": [[["low", -1.5], ["high", 1.5]], [["low", -3.0], ["high", 3.0]]\n    ]\n}')
    body = {
        "signature_name": "regress",
        "context": {"x": 0.5},
        "examples": [{"n": 1}, {"n": True, "s": {"b64": "YQ=="}}],
    }
    assert rest.post("/v1/models/examples:regress", body).text == '{\n    "results": [15.0, 15.0]\n}'


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ({"examples": []}, "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ({"examples": [3]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "Feature: x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": [1, 1.5]}]}, "Unexpected element type in feature: x expecting type: int64"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has uint64 element. Only int64 is supported."),
    ],
)
def test_examples_that_are_none_are_400(rest, body, error):
    reply = rest.post("/v1/models/examples:regress", body)
    assert (reply.status, reply.body) == (400, {"error": error})
