"""models.config, TensorFlow Serving's list of models, policies and labels."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelServerConfig


def read_models_config(path: Path) -> ModelServerConfig:
    """Reads a models.config.

    Raises:
      UserError: the file cannot be read or parsed.
    """
    return parse_models_config(read_text(path), path)


def model_entry(path: Path, name: str) -> ModelConfig:
    """Reads the entry of one model.

    Raises:
      UserError: the file cannot be read, or has no such entry.
    """
    return find_entry(read_models_config(path), path, name)


def find_entry(config: ModelServerConfig, path: Path, name: str) -> ModelConfig:
    """Returns the entry of one model.

    Args:
      config: the models.config.
      path: its path, for messages.
      name: name of the model.

    Raises:
      UserError: there is no such entry.
    """
    entries = {model.name: model for model in config.model_config_list.config}
    if name not in entries:
        raise UserError(f"{str(path)!r} has no entry for model {name!r}, only {sorted(entries)}: add one")
    return entries[name]


def folder_of(model: ModelConfig, path: Path) -> Path:
    """Returns the folder of a model's versions on this machine.

    ``base_path`` is often a path inside a container. If it does not exist here, the folder of the same name beside the
    models.config is used, which the container mounts.

    Args:
      model: entry of the model.
      path: path of the models.config.
    """
    base = Path(model.base_path)
    return base if base.is_dir() else path.absolute().parent / base.name


def read_text(path: Path) -> str:
    """Reads the text of a models.config.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"models configuration {str(path)!r} cannot be read ({error})") from error


def parse_models_config(text: str, path: Path) -> ModelServerConfig:
    """Parses the text of a models.config.

    Args:
      text: the text.
      path: its path, for messages.

    Raises:
      UserError: the text is no ``ModelServerConfig``.
    """
    try:
        return text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise UserError(f"models configuration {str(path)!r} cannot be parsed ({error}): see "
                        "saved_models/models.config for an example") from error
