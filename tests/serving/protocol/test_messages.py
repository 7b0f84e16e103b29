"""The declared messages against those of tensorflow-serving-api, in one process; imports have no side effects."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from tensorflow.core.protobuf import saved_model_pb2  # noqa: F401  (registers the messages)
from tensorflow_serving.apis import (  # noqa: F401
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2,
    prediction_log_pb2,
    prediction_service_pb2,
)

from tfrs_pretrain.serving.protocol import messages
from tfrs_pretrain.serving.protocol.declared import FILES, declared_messages
from tfrs_pretrain.serving.protocol.proto_files import parse_proto
from tfrs_pretrain.serving.protocol.services import METHODS

HERE = Path(__file__).parent
THEIRS = descriptor_pool.Default()
POOL, DECLARED = declared_messages()
COMPLETE = ("ModelServerConfig", "ModelConfigList", "ModelConfig", "LoggingConfig", "SamplingConfig",
            "PerTaskSamplingConfig", "LogCollectorConfig", "ServableVersionPolicy", "Latest", "Specific", "ModelSpec")


def test_imports_are_harmless():
    done = subprocess.run([sys.executable, str(HERE / "import_client.py")], check=False, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


def all_messages():
    def below(message):
        yield message
        for nested in message.nested_types:
            yield from below(nested)

    for name in FILES:
        for message in POOL.FindFileByName(name).message_types_by_name.values():
            yield from below(message)


def facts(field):
    """What decides how a field is written, and how a program and a text name it."""
    kind = field.message_type or field.enum_type
    oneof = field.containing_oneof
    return (field.name, field.number, field.type, field.is_repeated, field.has_presence, kind and kind.full_name,
            oneof and oneof.name, field.is_packed if field.is_repeated else None)


@pytest.mark.parametrize("message", all_messages(), ids=lambda message: message.full_name)
def test_every_field_is_that_of_tensorflow_serving_api(message):
    theirs = THEIRS.FindMessageTypeByName(message.full_name)
    assert message.GetOptions().map_entry == theirs.GetOptions().map_entry
    expected = {facts(field) for field in theirs.fields}
    found = {facts(field) for field in message.fields}
    assert found <= expected
    if message.name in COMPLETE:
        assert found == expected


@pytest.mark.parametrize("name", ["tensorflow.DataType", "tensorflow.error.Code", "tensorflow.serving.ModelType",
                                  "tensorflow.serving.ModelVersionStatus.State"])
def test_every_enum_value_is_that_of_tensorflow_serving_api(name):
    theirs = {value.name: value.number for value in THEIRS.FindEnumTypeByName(name).values}
    found = {value.name: value.number for value in POOL.FindEnumTypeByName(name).values}
    assert theirs == found | {left: 20 for left in theirs if left.startswith("DO_NOT_USE")}


def test_every_message_is_declared():
    assert set(messages.__all__) <= set(DECLARED)
    assert messages.PredictRequest is not DECLARED["PredictRequest"]


def test_methods_have_the_messages_of_the_services():
    for service, methods in METHODS.items():
        theirs = THEIRS.FindServiceByName(service).methods_by_name
        for name, (request, response) in methods.items():
            assert request.DESCRIPTOR.full_name == theirs[name].input_type.full_name
            assert response.DESCRIPTOR.full_name == theirs[name].output_type.full_name
        assert set(theirs) - set(methods) <= {"PredictStreamed"}


def test_a_message_survives_the_way_to_the_other_library_and_back():
    log = DECLARED["PredictionLog"]()
    request = log.predict_log.request
    request.model_spec.name = "m"
    request.model_spec.version.value = 7
    request.inputs["id"].int64_val.extend([3, -1])
    theirs = GetMessageClass(THEIRS.FindMessageTypeByName("tensorflow.serving.PredictionLog")).FromString(
        log.SerializeToString())
    assert theirs.predict_log.request.model_spec.version.value == 7
    assert list(theirs.predict_log.request.inputs["id"].int64_val) == [3, -1]
    theirs.log_metadata.timestamp_secs = 5  # a field that only the other library knows
    back = DECLARED["PredictionLog"].FromString(theirs.SerializeToString())
    assert back.predict_log == log.predict_log
    again = type(theirs).FromString(back.SerializeToString())
    assert again == theirs


def test_a_proto_file_is_read():
    file = parse_proto("a.proto", """
        syntax = "proto3";  // a comment { with } signs
        package one.two;
        import "b.proto";
        message M {
          enum E { NONE = 0; SOME = 2; }
          map<string, M> by_name = 4;
          oneof choice { int64 number = 1; E some = 2; }
          repeated bytes blobs = 3;
          optional bool flag = 5;
        }""")
    assert (file.package, list(file.dependency)) == ("one.two", ["b.proto"])
    [message] = file.message_type
    assert [(field.name, field.number, field.label, field.type, field.type_name) for field in message.field] == [
        ("by_name", 4, 3, 1, "ByNameEntry"), ("number", 1, 1, 3, ""), ("some", 2, 1, 1, "E"),
        ("blobs", 3, 3, 12, ""), ("flag", 5, 1, 8, "")]
    assert [declared.name for declared in message.oneof_decl] == ["choice", "_flag"]
    assert [(value.name, value.number) for value in message.enum_type[0].value] == [("NONE", 0), ("SOME", 2)]
    assert [(field.name, field.type_name) for field in message.nested_type[0].field] == [("key", ""), ("value", "M")]
