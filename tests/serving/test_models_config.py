"""The committed server configuration, read with the server's own message."""

from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tfrs_pretrain.config import load_config

MODELS = Path(__file__).parents[2] / "saved_models"


def test_the_demos_model_is_served_from_where_it_is_exported():
    config = text_format.Parse((MODELS / "models.config").read_text(), ModelServerConfig())
    name = load_config("completejourney").name
    assert [(model.name, model.base_path) for model in config.model_config_list.config] == [(name, f"/models/{name}")]
