"""models.config, TensorFlow Serving's list of models: read, and edited in place so that the rest of it stays.

A label names a version, and the versions that labels name are those that are served. Moving a label keeps the version
it named before under ``<label>_previous``: still loaded, so that a roll-back waits for nothing.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_encoding, text_format

from tfrs_pretrain.artifact_names import SAVED_MODEL_FILE
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.labels.text_edit import fields, replaced
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelServerConfig

PREVIOUS = "_previous"
_EDITED = ("model_version_policy", "version_labels")


def read_models_config(path: Path) -> ModelServerConfig:
    """The message of the file.

    Raises:
      UserError: it cannot be read or parsed.
    """
    return _parse(_text(path), path)


def model_entry(path: Path, name: str) -> ModelConfig:
    """The entry of one model.

    Raises:
      UserError: the file cannot be read, or has no such entry.
    """
    return _entry(read_models_config(path), path, name)


def folder_of(model: ModelConfig, path: Path) -> Path:
    """Where a model's versions lie on this machine.

    ``base_path`` is often a path inside a container; where it does not exist, the folder of that name beside the
    configuration is meant, which is what the container sees there.
    """
    base = Path(model.base_path)
    return base if base.is_dir() else path.absolute().parent / base.name


def move_label(path: Path, name: str, label: str, version: int) -> int | None:
    """Points a label at another version, written at once or not at all; the version it named, None if none.

    Raises:
      UserError: the file has no such model, the version's folder is not there, or the file cannot be edited.
    """
    config = read_models_config(path)
    model = _entry(config, path, name)
    _check_there(model, path, version)
    before = dict(model.version_labels)
    if before.get(label) == version:
        return version
    moved = before | {label: version}
    if label in before:
        moved[label + PREVIOUS] = before[label]
    _write(path, config, model, moved)
    return before.get(label)


def roll_back(path: Path, name: str, label: str) -> tuple[int, int]:
    """Points a label at the version it named before the last move, which can be undone likewise: (from, to).

    Raises:
      UserError: the label, a version that it named before, or that version's folder is not there.
    """
    config = read_models_config(path)
    model = _entry(config, path, name)
    labels = dict(model.version_labels)
    if label not in labels or label + PREVIOUS not in labels:
        raise UserError(f"{str(path)!r}: label {label!r} of model {name!r} has no version to go back to (labels: "
                        f"{dict(sorted(labels.items()))}): move it with tfrs-pretrain promote --label")
    here, there = labels[label], labels[label + PREVIOUS]
    _check_there(model, path, there)
    _write(path, config, model, labels | {label: there, label + PREVIOUS: here})
    return here, there


def _check_there(model: ModelConfig, path: Path, version: int) -> None:
    """A server that is told to serve a version which it does not find goes on with the old one and says nothing."""
    folder = folder_of(model, path)
    if not (folder / str(version) / SAVED_MODEL_FILE).is_file():
        raise UserError(f"version {version} of model {model.name!r} is not in {str(folder)!r}: export it there, or "
                        "name another")


def _write(path: Path, config: ModelServerConfig, model: ModelConfig, labels: dict[str, int]) -> None:
    """Replaces the labels of an entry, and its policy unless that asks for all versions."""
    text = _text(path)
    model.version_labels.clear()
    model.version_labels.update(labels)
    lines = [f'version_labels {{ key: "{text_encoding.CEscape(label, as_utf8=True)}" value: {version} }}'
             for label, version in sorted(labels.items())]
    if model.model_version_policy.WhichOneof("policy_choice") != "all":
        versions = sorted(set(labels.values()))
        model.model_version_policy.specific.versions[:] = versions
        lines.insert(0, "model_version_policy { specific { "
                     + " ".join(f"versions: {version}" for version in versions) + " } }")
    else:
        lines.insert(0, "model_version_policy { all { } }")
    start, end = _inside(text, path, model.name)
    edited = text[:start] + replaced(text[start:end], _EDITED, lines) + text[end:]
    if _parse(edited, path) != config:
        raise UserError(f"{str(path)!r} is written in a form that cannot be edited in place: write each entry as "
                        "config { name: ... } inside model_config_list { ... }")
    write_text(path, edited)


def _inside(text: str, path: Path, name: str) -> tuple[int, int]:
    for models in fields(text):
        within = text[slice(*models.inside)] if models.inside else ""
        for entry in fields(within):
            if models.inside and entry.inside and _entry_name(within[slice(*entry.inside)], path) == name:
                return models.inside[0] + entry.inside[0], models.inside[0] + entry.inside[1]
    raise UserError(f"{str(path)!r} is written in a form that cannot be edited in place: write each entry as "
                    "config { name: ... } inside model_config_list { ... }")


def _entry_name(text: str, path: Path) -> str:
    try:
        return str(text_format.Parse(text, ModelConfig()).name)
    except text_format.ParseError as error:
        raise _unreadable(path, error) from error


def _entry(config: ModelServerConfig, path: Path, name: str) -> ModelConfig:
    entries = {model.name: model for model in config.model_config_list.config}
    if name not in entries:
        raise UserError(f"{str(path)!r} has no entry for model {name!r}, only {sorted(entries)}: add one")
    return entries[name]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"models configuration {str(path)!r} cannot be read ({error})") from error


def _parse(text: str, path: Path) -> ModelServerConfig:
    try:
        return text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"models configuration {str(path)!r} cannot be parsed ({error}): see saved_models/models.config "
                     "for its form")
