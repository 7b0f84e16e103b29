"""Hostile gRPC messages, made of a valid request of two rows; the second row carries the hostile values."""

import random

import numpy as np
from hostile_requests import (
    ANSWERED,
    ANY,
    DAMAGE,
    ISOLATED,
    NOT_UTF8,
    REFUSED,
    HostileRequest,
    integer,
    number,
    text,
    two_rows,
)

from tfrs_pretrain.serving.client.tf_examples import to_example
from tfrs_pretrain.serving.protocol.messages import (
    ClassificationRequest,
    DataType,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    MultiInferenceRequest,
    PredictRequest,
    RegressionRequest,
)
from tfrs_pretrain.serving.protocol.tensor_protos import to_proto

PREDICTION, STATUS = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/GetModelStatus"
PREDICT, CLASSIFY, REGRESS = (PREDICTION + method for method in ("Predict", "Classify", "Regress"))


def predict_request(name, rows):
    request = PredictRequest()
    request.model_spec.name = name
    for column, values in columns(rows).items():
        request.inputs[column].CopyFrom(to_proto(values))
    return request


def columns(rows):
    """Arrays by column: int64, float32 or strings."""
    found = {column: np.array([row[column] for row in rows]) for column in rows[0]}
    return {column: values.astype({"f": np.float32, "i": np.int64}.get(values.dtype.kind, object))
            for column, values in found.items()}


def set_value(request, column, value):
    """Puts a value into the second row of a column."""
    dtype = {float: np.float32, int: np.int64}.get(type(value), object)
    first = request.inputs[column].string_val[0] if dtype is object else np.frombuffer(
        request.inputs[column].tensor_content, dtype)[0]
    request.inputs[column].CopyFrom(to_proto(np.array([first, value, None], object)[:2].astype(dtype)))


# Attacks on Predict: each changes the request and returns what the server must do.

def other_dtype(rng, request, column):
    dtype = rng.choice([values for values in (np.int64, np.float32, np.float64, np.int32, np.bool_, object)
                        if np.dtype(values).kind != np.dtype(_dtype(request, column)).kind or values in (np.float64,
                                                                                                         np.int32)])
    request.inputs[column].CopyFrom(to_proto(np.zeros(2, dtype) if dtype is not object else np.array([b"1", b"2"])))
    return REFUSED


def _dtype(request, column):
    return {DataType.DT_STRING: object, DataType.DT_INT64: np.int64}.get(request.inputs[column].dtype, np.float32)


def unsupported_dtype(rng, request, column):
    request.inputs[column].dtype = rng.choice([0, DataType.DT_HALF, DataType.DT_RESOURCE, DataType.DT_VARIANT,
                                               DataType.DT_STRING_REF, 9999, -1])
    return REFUSED


def other_shape(rng, request, column):
    shape = rng.choice([[], [2, 1], [1, 2], [2, 1, 1], [1] * 300, [0], [-1], [-2**63], [2**40], [2**31] * 3,
                        [2**62, 4], [2, 0], [3], [1]])
    del request.inputs[column].tensor_shape.dim[:]
    for size in shape:
        request.inputs[column].tensor_shape.dim.add(size=size)
    return REFUSED


def unknown_rank(rng, request, column):
    request.inputs[column].tensor_shape.unknown_rank = True
    return REFUSED


def one_value_for_a_huge_shape(rng, request, column):
    """TensorFlow fills a shape with the last value: 30 bytes become gigabytes."""
    for name in request.inputs:
        tensor = request.inputs[name]
        first = tensor.string_val[:1] or np.frombuffer(tensor.tensor_content, _dtype(request, name))[:1]
        tensor.CopyFrom(to_proto(np.array(first)))
        if tensor.tensor_content:
            field = tensor.int64_val if tensor.dtype == DataType.DT_INT64 else tensor.float_val
            field.extend(np.frombuffer(tensor.tensor_content, _dtype(request, name)).tolist())
            tensor.tensor_content = b""
        tensor.tensor_shape.dim[0].size = rng.choice([100_001, 2**26, 2**26 + 1, 2**50])
    return REFUSED


def longer_column(rng, request, column):
    values = np.array([b"a"] * 3, object) if _dtype(request, column) is object else np.ones(3, _dtype(request, column))
    request.inputs[column].CopyFrom(to_proto(values))
    return REFUSED


def no_rows(rng, request, column):
    for name in request.inputs:
        request.inputs[name].CopyFrom(to_proto(np.zeros(0, _dtype(request, name))))
    return ANY


def missing_input(rng, request, column):
    del request.inputs[column]
    return REFUSED


def additional_inputs(rng, request, column):
    for position in range(rng.choice([1, 1, 3000])):
        request.inputs[f"{text(rng)[:50]} {position}"].CopyFrom(to_proto(np.ones(2, np.float32)))
    return REFUSED


def other_model(rng, request, column):
    request.model_spec.name = rng.choice(["", "absent", text(rng)])
    return REFUSED


def other_version(rng, request, column):
    if rng.random() < 0.5:
        request.model_spec.version.value = integer(rng)  # random bits are not 1
    else:
        request.model_spec.version_label = text(rng)
    return REFUSED


def other_signature(rng, request, column):
    request.model_spec.signature_name = rng.choice(
        ["absent", "user_embedding", "predict_examples", "classify", "__saved_model_init_op", text(rng), text(rng)])
    return REFUSED


def other_outputs(rng, request, column):
    request.output_filter.extend(rng.choice([["absent"], ["score", "score"], [""], ["score:0"], ["score"] * 5000,
                                             ["score", text(rng)]]))
    return REFUSED


def extreme_value(rng, request, column):
    dtype = _dtype(request, column)
    texts = [b"", text(rng).encode(), rng.randbytes(40), *NOT_UTF8, b"x" * 2_000_000]
    set_value(request, column, rng.choice({object: texts, np.int64: [integer(rng)]}.get(dtype, [number(rng)])))
    return ANSWERED


def both_kinds_of_content(rng, request, column):
    tensor = request.inputs[column]
    tensor.tensor_content += rng.randbytes(rng.choice([1, 16]))
    tensor.int64_val.append(1)
    return REFUSED


PREDICT_ATTACKS = [other_dtype, unsupported_dtype, other_shape, unknown_rank, one_value_for_a_huge_shape, longer_column,
                   no_rows, missing_input, additional_inputs, other_model, other_version, other_signature,
                   other_outputs, extreme_value, both_kinds_of_content]


# Attacks on signatures that read serialized examples.

def damaged_example(rng, row):
    return rng.choice(DAMAGE[:4])(rng, to_example(row).SerializeToString(deterministic=True))


def incomplete_example(rng, row):
    kept = {name: value for name, value in row.items() if rng.random() < 0.6}
    return to_example(kept).SerializeToString(deterministic=True)


def odd_example(rng, row):
    """A feature of another type, with several values, or with an extreme value."""
    value = rng.choice([text(rng), "", rng.choice(NOT_UTF8), integer(rng), number(rng), [1] * 5000, ["a", text(rng)],
                        [number(rng)] * 3])
    return to_example(row | {rng.choice([*row, "bogus"]): value}).SerializeToString(deterministic=True)


def deep_example(rng, row):
    """Messages inside each other."""
    inner = b""
    for _ in range(rng.randrange(3, 3000)):
        inner = b"\x0a" + _varint(len(inner)) + inner
    return inner


def _varint(number):
    encoded = b""
    while number > 127:
        encoded, number = encoded + bytes([number & 127 | 128]), number >> 7
    return encoded + bytes([number])


EXAMPLE_ATTACKS = [damaged_example, incomplete_example, odd_example, deep_example]


def serialized_examples(rng, name, rows):
    """A request with one valid and one hostile example."""
    attack = rng.choice(EXAMPLE_ATTACKS)
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, "predict_examples"
    valid = to_example(rows[0]).SerializeToString(deterministic=True)
    request.inputs["inputs"].CopyFrom(to_proto(np.array([valid, attack(rng, rows[1]), None], object)[:2]))
    return attack.__name__, ISOLATED, PREDICT, request.SerializeToString(deterministic=True)


def structured_examples(rng, name, rows):
    """Classify, Regress or MultiInference with odd examples, tasks and names."""
    target, message, signature = rng.choice([(CLASSIFY, ClassificationRequest, "classify"),
                                             (REGRESS, RegressionRequest, "regress")])
    request = message()
    request.model_spec.name = name
    request.model_spec.signature_name = rng.choice([signature, signature, "serving_default", "absent", ""])
    kind = rng.choice(["example_list", "example_list_with_context"])
    for _ in range(rng.choice([0, 1, 2])):
        getattr(request.input, kind).examples.add().MergeFromString(odd_example(rng, rows[1]))
    if rng.random() < 0.2:
        multi = MultiInferenceRequest(input=request.input)
        for _ in range(rng.choice([0, 1, 2, 500])):
            multi.tasks.add(model_spec=request.model_spec, method_name=rng.choice(["", "tensorflow/serving/regress"]))
        return "multi_inference", ANY, PREDICTION + "MultiInference", multi.SerializeToString(deterministic=True)
    return signature, ANY, target, request.SerializeToString(deterministic=True)


def feature_tensors(rng, name, rows):
    request = predict_request(name, rows)
    attack = rng.choice(PREDICT_ATTACKS)
    expected = attack(rng, request, rng.choice(sorted(request.inputs)))
    return attack.__name__, expected, PREDICT, request.SerializeToString(deterministic=True)


def damaged_message(rng, name, rows):
    damage = rng.choice(DAMAGE)
    target = rng.choice([PREDICT, CLASSIFY, REGRESS, PREDICTION + "MultiInference", PREDICTION + "GetModelMetadata",
                         STATUS])
    return damage.__name__, ANY, target, damage(rng, predict_request(name, rows).SerializeToString(deterministic=True))


def other_method(rng, name, rows):
    content = predict_request(name, rows).SerializeToString(deterministic=True)
    if rng.random() < 0.5:
        target = rng.choice([PREDICTION + "predict", "/x/y", "/" + "a" * 5000, STATUS + "/",
                             f"{PREDICTION}{rng.getrandbits(64)}"])
        return "absent_method", REFUSED, target, content
    metadata = GetModelMetadataRequest(metadata_field=[rng.choice(["", text(rng)])])
    message = rng.choice([metadata, GetModelStatusRequest()])
    message.model_spec.name = rng.choice([name, "absent"])
    message.model_spec.version.value = integer(rng)
    target = STATUS if isinstance(message, GetModelStatusRequest) else PREDICTION + "GetModelMetadata"
    return "metadata_or_status", REFUSED, target, message.SerializeToString(deterministic=True)


KINDS = [feature_tensors, feature_tensors, feature_tensors, serialized_examples, structured_examples, damaged_message,
         other_method]


def grpc_request(seed, name, rows):
    """Returns a hostile request to model ``name``.

    Args:
      seed: the same seed returns the same request.
      name: name of the served model.
      rows: valid rows.
    """
    rng = random.Random(seed)
    attack, expected, target, content = KINDS[seed % len(KINDS)](rng, name, two_rows(rng, rows))
    return HostileRequest(f"gRPC {seed} {attack}", expected, target, content)
