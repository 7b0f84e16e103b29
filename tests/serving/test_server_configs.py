"""The committed server configuration, parsed with the server's own messages where they are available.

``MonitoringConfig`` and ``SavedModelBundleSourceAdapterConfig`` are not shipped with
tensorflow-serving-api, so their fields are declared here as TensorFlow Serving's .proto files declare them.
"""

import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from live_servers import LOAD_FLAGS
from tensorflow.core.protobuf.config_pb2 import ConfigProto
from tensorflow_serving.config.platform_config_pb2 import PlatformConfigMap

from tfrs_pretrain.config import load_config
from tfrs_pretrain.serving.labels.models_config import read_models_config
from tfrs_pretrain.serving.server.request_limits import DEFAULT_LIMITS

MODELS = Path(__file__).parents[2] / "saved_models"
SIGNATURES = ("serving_default", "rank", "predict_examples", "classify", "regress", "user_embedding", "item_embedding")
FIELDS = {
    "PrometheusConfig": {"enable": bool, "path": str},
    "MonitoringConfig": {"prometheus_config": ".tensorflow.serving.PrometheusConfig"},
    "SessionBundleConfig": {"session_config": ".tensorflow.ConfigProto", "enable_model_warmup": bool},
    "SavedModelBundleSourceAdapterConfig": {"legacy_config": ".tensorflow.serving.SessionBundleConfig"},
}


@pytest.fixture(scope="module")
def messages():
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="declared_by_the_test.proto", package="tensorflow.serving", syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name, ConfigProto.DESCRIPTOR.file.name])
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            added = message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
            if isinstance(kind, str):
                added.type, added.type_name = kinds.TYPE_MESSAGE, kind
            else:
                added.type = kinds.TYPE_BOOL if kind is bool else kinds.TYPE_STRING
    pool = descriptor_pool.Default()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
            for name in FIELDS}


def services():
    found = yaml.safe_load((MODELS / "compose.yaml").read_text())["services"]
    assert set(found) == {"proxy", "serving"}
    return found


def parse(file, message):
    return text_format.Parse((MODELS / file).read_text(), message)


def test_the_demos_model_has_an_entry_with_labels():
    name = load_config("completejourney").name
    [entry] = read_models_config(MODELS / "models.config").model_config_list.config
    assert (entry.name, entry.base_path) == (name, f"/models/{name}")
    assert dict(entry.version_labels) == {"stable": 1, "canary": 1}
    assert list(entry.model_version_policy.specific.versions) == [1]


def test_monitoring(messages):
    monitoring = parse("monitoring.config", messages["MonitoringConfig"]()).prometheus_config
    assert (monitoring.enable, monitoring.path) == (True, "/monitoring/prometheus/metrics")


def test_the_platform_configuration_enables_warm_up_and_one_thread(messages):
    platforms = parse("platform.config", PlatformConfigMap()).platform_configs
    assert list(platforms) == ["tensorflow"]
    adapter = messages["SavedModelBundleSourceAdapterConfig"]()
    assert platforms["tensorflow"].source_adapter_config.Unpack(adapter)
    assert adapter.legacy_config.enable_model_warmup is True
    session = adapter.legacy_config.session_config
    service = services()["serving"]
    assert service["environment"] == {"TF_NUM_INTRAOP_THREADS": str(session.intra_op_parallelism_threads),
                                      "TF_NUM_INTEROP_THREADS": str(session.inter_op_parallelism_threads)} == {
        "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "-1"}


def test_the_compose_file_names_existing_files():
    service = services()["serving"]
    assert "tensorflow/serving" in service["image"]
    assert service["volumes"] == [".:/models:ro"]
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in service["command"])
    assert "grpc_channel_arguments" not in flags  # the server ignores a limit on message sizes there
    assert {f"--{name}={value}" for name, value in flags.items()} >= set(LOAD_FLAGS)
    for flag in ("model_config_file", "monitoring_config_file"):
        assert (MODELS / flags[flag].removeprefix("/models/")).is_file()
    # A server with batching would refuse `rank`, and the warm-up contains it.
    assert "enable_batching" not in flags
    assert not list(MODELS.glob("batching*"))


def test_clients_reach_the_server_through_the_proxy_only():
    proxy, serving = services()["proxy"], services()["serving"]
    assert "ports" not in serving
    assert serving["init"] is True  # process 1 would ignore SIGTERM
    assert all(port.startswith("127.0.0.1:") for port in proxy["ports"])
    assert proxy["depends_on"] == ["serving"]  # so that it stops first
    assert proxy["stop_signal"] == "SIGQUIT"
    for volume in proxy["volumes"]:
        assert (MODELS / volume.split(":")[0]).is_file()
    limit = f"client_max_body_size {DEFAULT_LIMITS.message_bytes >> 20}m;"
    assert limit in (MODELS / "nginx.conf").read_text()


def test_the_readme_names_existing_commands_and_signatures():
    from tfrs_pretrain.cli import app

    text = (MODELS / "README.md").read_text()
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"tfrs-pretrain ([a-z-]+)", text)) <= commands
    assert {"export", "promote", "roll-back", "verify-server", "query", "serve"} <= set(
        re.findall(r"tfrs-pretrain ([a-z-]+)", text))
    assert all(f"`{name}`" in text for name in SIGNATURES)
