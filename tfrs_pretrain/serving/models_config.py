"""models.config, TensorFlow Serving's list of models: read, and edited in place so that the rest of it stays.

A label names a version, and the versions that labels name are those that are served. Moving a label keeps the version
it named before under ``<label>_previous``: still loaded, so that a roll-back waits for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_encoding, text_format

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.protocol import ModelConfig, ModelServerConfig
from tfrs_pretrain.serving.version_folder import GRAPH

PREVIOUS = "_previous"
_EDITED = ("model_version_policy", "version_labels")
_TOKEN = re.compile(r"""\s+|\#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[\w.+-]+|.""")


class _Field(NamedTuple):
    """A field in the text: its name, where it starts and ends, and where its message's inside does."""

    name: str
    start: int
    end: int
    inside: tuple[int, int] | None


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
    folder = folder_of(model, path) / str(version)
    if not (folder / GRAPH).is_file():
        raise UserError(f"version {version} of model {name!r} is not in {str(folder.parent)!r}: export it there, or "
                        "name another")
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
      UserError: the label, or a version that it named before, is not there.
    """
    config = read_models_config(path)
    model = _entry(config, path, name)
    labels = dict(model.version_labels)
    if label not in labels or label + PREVIOUS not in labels:
        raise UserError(f"{str(path)!r}: label {label!r} of model {name!r} has no version to go back to (labels: "
                        f"{dict(sorted(labels.items()))}): move it with tfrs-pretrain promote --label")
    here, there = labels[label], labels[label + PREVIOUS]
    _write(path, config, model, labels | {label: there, label + PREVIOUS: here})
    return here, there


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
    edited = _edit(text, path, model.name, lines)
    if _parse(edited, path) != config:
        raise UserError(f"{str(path)!r} is written in a form that cannot be edited in place: write each entry as "
                        "config { name: ... } inside model_config_list { ... }")
    write_text(path, edited)


def _edit(text: str, path: Path, name: str, lines: list[str]) -> str:
    """The text with other lines for labels and policy in the entry of a model; all else as it was."""
    start, end = _inside(text, path, name)
    inside = text[start:end]
    fields = list(_fields(inside))
    line = inside[inside.rfind("\n", 0, fields[0].start) + 1:fields[0].start]
    indent = line if line.isspace() else "    "
    for field in reversed(fields):
        if field.name in _EDITED:
            inside = _without(inside, field)
    closing = inside[len(inside.rstrip()):] or " "
    return text[:start] + inside.rstrip() + "".join(f"\n{indent}{line}" for line in lines) + closing + text[end:]


def _without(text: str, field: _Field) -> str:
    """The text without a field, and without the lines that it had to itself."""
    line = text.rfind("\n", 0, field.start) + 1
    before, after = text[line:field.start], re.compile(r"[ \t]*[,;]?[ \t]*").match(text, field.end)
    end = after.end() if after else field.end
    if before.isspace() and text[end:end + 1] == "\n":
        return text[:line] + text[end + 1:]
    return text[:field.start] + text[end:]


def _inside(text: str, path: Path, name: str) -> tuple[int, int]:
    for models in _fields(text):
        within = text[slice(*models.inside)] if models.inside else ""
        for entry in _fields(within):
            if models.inside and entry.inside and _entry_name(within[slice(*entry.inside)], path) == name:
                return models.inside[0] + entry.inside[0], models.inside[0] + entry.inside[1]
    raise UserError(f"{str(path)!r} is written in a form that cannot be edited in place: write each entry as "
                    "config { name: ... } inside model_config_list { ... }")


def _entry_name(text: str, path: Path) -> str:
    try:
        return str(text_format.Parse(text, ModelConfig()).name)
    except text_format.ParseError as error:
        raise _unreadable(path, error) from error


def _fields(text: str) -> Iterator[_Field]:
    """The fields of a message's inside, without those inside them."""
    name, begin, opened, depth = "", 0, 0, 0
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.isspace() or word.startswith("#"):
            continue
        if word == "{":
            depth += 1
            opened = token.end() if depth == 1 else opened
        elif word == "}":
            depth -= 1
            if depth == 0:
                yield _Field(name, begin, token.end(), (opened, token.start()))
                name = ""
        elif depth == 0 and not name and word not in ",;":
            name, begin = word, token.start()
        elif depth == 0 and word not in ":,;":
            yield _Field(name, begin, token.end(), None)
            name = ""


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
