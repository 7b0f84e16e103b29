"""Metadata messages as typed values."""

from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from tfrs_pretrain.serving.client import Metadata, Signature, TensorSpec


def signature():
    message = SignatureDef(method_name="tensorflow/serving/predict")
    for size in (-1, 3):
        message.inputs["x"].tensor_shape.dim.add(size=size)
    message.inputs["x"].dtype = 9
    message.outputs["y"].dtype = 1
    return message


def test_signatures_are_converted():
    assert Signature.from_message(signature()) == Signature(
        "tensorflow/serving/predict", {"x": TensorSpec("int64", (None, 3))}, {"y": TensorSpec("float32", ())})


def test_specs_as_text():
    assert str(TensorSpec("int64", (None, 3))) == "int64[?, 3]"
    assert str(TensorSpec("float32", ())) == "float32[]"


def test_public_signatures_are_sorted_and_exclude_the_loaders():
    metadata = Metadata.from_messages(4, {"b": signature(), "__saved_model_init_op": signature(), "a": signature()})
    assert metadata.version == 4
    assert list(metadata.public) == ["a", "b"]
    assert len(metadata.signatures) == 3
