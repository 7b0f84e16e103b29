"""Moves version labels in a models.config; the rest of the file stays unchanged.

TensorFlow Serving loads the versions that the policy names, which are those that labels name. Moving a label keeps the
version that it named before under ``<label>_previous``: the version stays loaded, so a rollback is immediate. A
rollback keeps it under ``<label>_rolled_back`` instead, so that the same command again does not undo the first. A
server refuses a move to a version that it has not loaded: ``rollout`` selects the version first. It also holds the lock
that keeps two edits apart.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_encoding, text_format

from tfrs_pretrain.artifact_names import SAVED_MODEL_FILE
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.names import check_folder_name
from tfrs_pretrain.serving.labels.models_config import (
    find_entry,
    folder_of,
    model_entry,
    parse_models_config,
    read_models_config,
    read_text,
)
from tfrs_pretrain.serving.labels.text_edit import fields, replace_fields
from tfrs_pretrain.serving.protocol.messages import ModelConfig, ModelServerConfig

PREVIOUS, ROLLED_BACK = "_previous", "_rolled_back"  # suffixes
_EDITED_FIELDS = ("model_version_policy", "version_labels")


class LabelChange(NamedTuple):
    """Version that a label named before (None: the label is new), and version that it names now."""

    before: int | None
    after: int


def is_selected(path: Path, name: str, version: int) -> bool:
    """Returns whether the policy of a model names a version, or selects all versions.

    Raises:
      UserError: the file cannot be read, or has no such model.
    """
    policy = model_entry(path, name).model_version_policy
    return policy.WhichOneof("policy_choice") == "all" or version in policy.specific.versions


def select_version(path: Path, name: str, version: int) -> None:
    """Adds a version to those that the server loads, in one atomic write; labels stay unchanged.

    Args:
      path: the models.config.
      name: name of the model.
      version: number of an exported version.

    Raises:
      UserError: the file has no such model, the version does not exist, or the file cannot be edited.
    """
    config, model = _read_to_edit(path, name, version)
    labels = dict(model.version_labels)
    _write_labels(path, config, model, labels, {*model.model_version_policy.specific.versions, version})


def move_label(path: Path, name: str, label: str, version: int, suffix: str = PREVIOUS) -> LabelChange:
    """Points a label at a version, in one atomic write.

    Args:
      path: the models.config.
      name: name of the model.
      label: the label; created if it does not exist.
      version: number of an exported version.
      suffix: the label with this suffix then names the version that the label named before.

    Raises:
      UserError: the file has no such model, the version does not exist, or the file cannot be edited.
    """
    config, model = _read_to_edit(path, name, version)
    labels = dict(model.version_labels)
    change = LabelChange(labels.get(label), version)
    if change.before == version:
        return change
    if change.before is None:
        _check_label(label)
    else:
        labels = {key: value for key, value in labels.items() if key not in (label + PREVIOUS, label + ROLLED_BACK)}
        labels[label + suffix] = change.before
    _write_labels(path, config, model, labels | {label: version})
    return change


def previous_version(path: Path, name: str, label: str) -> int:
    """Returns the version that a rollback serves: the one before the label's last move, or its present one if the last
    move was a rollback, because the version before that is not known.

    Raises:
      UserError: the label does not exist or was never moved, or the earlier version does not exist.
    """
    model = model_entry(path, name)
    labels: dict[str, int] = dict(model.version_labels)
    if label in labels and label + ROLLED_BACK in labels:
        return labels[label]
    return _kept_version(path, model, label, PREVIOUS, "has no previous version", "move it with tfrs-pretrain promote "
                                                                                 "--label")


def rolled_back_version(path: Path, name: str, label: str) -> int:
    """Returns the version that a label named before it was rolled back.

    Raises:
      UserError: the label's last move was not a rollback, or the version does not exist.
    """
    return _kept_version(path, model_entry(path, name), label, ROLLED_BACK, "was not rolled back",
                         "there is no rollback to undo")


def _kept_version(path: Path, model: ModelConfig, label: str, suffix: str, problem: str, advice: str) -> int:
    labels: dict[str, int] = dict(model.version_labels)
    if label not in labels or label + suffix not in labels:
        raise UserError(f"{str(path)!r}: label {label!r} of model {model.name!r} {problem} (labels: "
                        f"{dict(sorted(labels.items()))}): {advice}")
    _check_exists(model, path, labels[label + suffix])
    return labels[label + suffix]


def _check_label(label: str) -> None:
    """Checks the name of a new label, which clients write into a URL."""
    try:
        check_folder_name(label)
    except ValueError as error:
        raise UserError(f"label {label!r}: {error}") from error


def _read_to_edit(path: Path, name: str, version: int) -> tuple[ModelServerConfig, ModelConfig]:
    """Returns a models.config and its entry of a model, of which a version must exist."""
    config = read_models_config(path)
    model = find_entry(config, path, name)
    _check_exists(model, path, version)
    return config, model


def _check_exists(model: ModelConfig, path: Path, version: int) -> None:
    """Checks that the version's folder exists: a server silently keeps the old version if the new one is missing."""
    folder = folder_of(model, path)
    if not (folder / str(version) / SAVED_MODEL_FILE).is_file():
        raise UserError(f"version {version} of model {model.name!r} is not in {str(folder)!r}: export it there, or "
                        "choose another version")


def _write_labels(path: Path, config: ModelServerConfig, model: ModelConfig, labels: dict[str, int],
                  more_versions: Collection[int] = ()) -> None:
    """Replaces the labels of an entry, and its version policy unless the policy selects all versions.

    Args:
      path: the models.config.
      config: its content; changed in place.
      model: the entry in it.
      labels: label -> version.
      more_versions: versions to load that no label names.
    """
    text = read_text(path)
    model.version_labels.clear()
    model.version_labels.update(labels)
    if model.model_version_policy.WhichOneof("policy_choice") == "all":
        policy = "model_version_policy { all { } }"
    else:
        versions = sorted({*labels.values(), *more_versions})
        model.model_version_policy.specific.versions[:] = versions
        policy = ("model_version_policy { specific { "
                  + " ".join(f"versions: {version}" for version in versions) + " } }")
    lines = [policy, *(f'version_labels {{ key: "{text_encoding.CEscape(label, as_utf8=True)}" value: {version} }}'
                       for label, version in sorted(labels.items()))]
    start, end = _entry_position(text, path, model.name)
    edited = text[:start] + replace_fields(text[start:end], _EDITED_FIELDS, lines) + text[end:]
    if parse_models_config(edited, path) != config:
        raise _not_editable(path)
    write_text(path, edited)


def _entry_position(text: str, path: Path, name: str) -> tuple[int, int]:
    """Start and end of the body of a model's entry in the text."""
    for models in fields(text):
        body = text[slice(*models.body)] if models.body else ""
        for entry in fields(body):
            if models.body and entry.body and _entry_name(body[slice(*entry.body)], path) == name:
                return models.body[0] + entry.body[0], models.body[0] + entry.body[1]
    raise _not_editable(path)


def _entry_name(body: str, path: Path) -> str:
    try:
        return str(text_format.Parse(body, ModelConfig()).name)
    except text_format.ParseError as error:
        raise _not_editable(path) from error


def _not_editable(path: Path) -> UserError:
    return UserError(f"{str(path)!r} is written in a form that cannot be edited in place: write each entry as "
                     "config { name: ... } inside model_config_list { ... }")
