"""Configurations from YAML and ``--set a.b=c`` overrides; every error is one line."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tfrs_pretrain.config.migration import migrate, migrate_pretraining, notices
from tfrs_pretrain.config.packaged import stored_configuration
from tfrs_pretrain.config.pretraining import PretrainingConfig
from tfrs_pretrain.config.root import Config
from tfrs_pretrain.config.yaml_text import MAX_DEPTH, parse_yaml
from tfrs_pretrain.errors import UserError

BUNDLED = ("completejourney",)
MAX_MESSAGE = 1000  # characters
# Keys whose value may be a text instead of a mapping, with the key of the mapping that the text belongs to.
SHORT_FORMS = {"network": "path", **dict.fromkeys(
    ("objective", "negatives", "transfer", "user", "item", "teacher", "backbone", "meda"), "kind")}


def load_config(source: str, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file (or a bundled configuration by name) and applies ``a.b=c`` overrides, values read as YAML.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, or a value is out of its range.
    """
    return parse_config(read_yaml(source), overrides, origin=source)


def parse_config(tree: Mapping[str, Any], overrides: Sequence[str] = (), *, origin: str) -> Config:
    """Validates a tree that is already read, such as the resolved configuration stored with an artifact.

    Raises:
      UserError: a key is unknown or a value is out of its range; the message names ``origin``.
    """
    return validate_config(apply_overrides(tree, overrides, origin=origin), origin=origin)


def apply_overrides(tree: Mapping[str, Any], overrides: Sequence[str], *, origin: str) -> dict[str, Any]:
    """Copy of a configuration with the keys of this version and the overrides, before validation.

    Raises:
      UserError: an override is not written as ``a.b=c``.
    """
    changed, changes = migrate(tree)
    notices.show(f"configuration {origin!r}", changes)
    for override in overrides:
        apply_override(changed, override)
    changed, changes = migrate(changed)
    notices.show("--set", changes)
    return changed


def validate_config(tree: Mapping[str, Any], *, origin: str) -> Config:
    """Validates a tree with the keys of this version.

    Raises:
      UserError: a key is unknown or a value is out of its range; the message names ``origin``.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        keys = "`tfrs-pretrain config` prints every key"
        raise UserError(validation_message(f"configuration {origin!r}", error, keys, tree)) from error


def parse_pretraining(section: Mapping[str, Any]) -> PretrainingConfig:
    """Validates the section ``pretraining`` of a configuration stored with an artifact."""
    with stored_configuration():
        return PretrainingConfig.model_validate(migrate_pretraining(section, []))


def read_yaml(source: str, what: str = "configuration") -> dict[str, Any]:
    """Reads the mapping in a YAML file, or a bundled configuration by name.

    Args:
      source: path or bundled name.
      what: noun for messages; only a "configuration" can be a bundled one.

    Raises:
      UserError: the file is missing, contains no mapping, or a key occurs twice.
    """
    if source in BUNDLED and what == "configuration":
        text = resources.files("tfrs_pretrain.configs").joinpath(f"{source}.yaml").read_text()
    else:
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            bundled = f", or one of the bundled {list(BUNDLED)}" if what == "configuration" else ""
            raise UserError(f"{what} {source!r} cannot be read ({error}): give a YAML file{bundled}") from error
    try:
        tree = parse_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"{what} {source!r} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{what} {source!r} must be a mapping of sections, not {type(tree).__name__}")
    return tree


def apply_override(tree: dict[str, Any], override: str) -> None:
    """Sets the key of one ``a.b=c`` override, its value read as YAML.

    Raises:
      UserError: it is not written so.
    """
    path, equals, text = override.partition("=")
    where = f"--set {_shown(override)}"
    if not equals or not path:
        raise UserError(f"{where}: write it as section.key=value")
    if path.count(".") >= MAX_DEPTH:
        raise UserError(f"{where}: keys are nested deeper than {MAX_DEPTH}")
    try:
        value = parse_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where}: the value is not YAML ({' '.join(str(error).split())})") from error
    set_key(tree, path.strip(), value, where)


def set_key(tree: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Sets a dotted key of a tree and creates missing sections on the way.

    A section in its short form, such as ``transfer: warm_start``, becomes a mapping.

    Raises:
      UserError: a section on the way contains a value; the message begins with ``where``.
    """
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        if parent in SHORT_FORMS and isinstance(node.get(parent), str):
            node[parent] = {SHORT_FORMS[parent]: node[parent]}
        if node.get(parent) is None:
            node[parent] = {}
        node = node[parent]
        if not isinstance(node, dict):
            raise UserError(f"{where}: {parent!r} contains a value, not a section")
    node[leaf] = value


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """Returns the first dotted key in which two resolved configurations differ, with both values; None if equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            difference = first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
            if difference:
                return difference
        return None
    return None if one == other else f"{path} ({one!r} there, {other!r} here)"


def validation_message(where: str, error: ValidationError, keys: str, tree: Mapping[str, Any]) -> str:
    """Describes the first problem of a refused ``tree`` in one line of limited length.

    Args:
      where: begins the message.
      error: the refusal.
      keys: says where the known keys are listed.
      tree: the input of the validation.
    """
    message = _first_problem(where, error, keys, tree)
    return message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}…"


def _first_problem(where: str, error: ValidationError, keys: str, tree: Mapping[str, Any]) -> str:
    # A key that accepts a string or a mapping reports both; a mapping is meant as one.
    errors = [one for one in error.errors() if not (one["type"] == "string_type" and isinstance(one["input"], dict))]
    first = errors[0] if errors else error.errors()[0]
    path, kind = _path(first, tree)
    place = ".".join(part if part.isprintable() else repr(part) for part in path) or "configuration"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        unfit = f"; kind {kind!r} has no such key" if kind else ""
        return f"{where}: unknown key {place!r}{unfit}; {keys}{more}"
    if first["type"] == "union_tag_invalid":
        context = first["ctx"]
        return f"{where}: {place}: unknown kind {context['tag']!r}: expected {context['expected_tags']}{more}"
    received = "" if isinstance(first["input"], dict) else f", not {_shown(first['input'])}"
    return f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}{received}{more}"


def _shown(value: Any) -> str:
    """Returns a value for a message; long and deep ones are shortened."""
    shortener = reprlib.Repr()
    shortener.maxlevel, shortener.maxlist, shortener.maxstring, shortener.maxother = 3, 20, 200, 200
    return shortener.repr(value)


def _path(error: ErrorDetails, tree: Any) -> tuple[list[str], str | None]:
    """Keys that lead to an error, without the kinds that pydantic puts between them; the kind of the last section."""
    *sections, last = error["loc"] or ("",)
    keys: list[str] = []
    kind, node = None, tree
    for part in sections:
        if _is_kind(part, node):
            kind = str(part)
        else:
            keys.append(str(part))
            kind, node = None, _inside(node, part)
    if error["loc"] and (error["type"] == "missing" or not _is_kind(last, node)):
        keys.append(str(last))
    return keys, kind


def _is_kind(part: int | str, node: Any) -> bool:
    """Whether a part of a location names a member of a union instead of a key of ``node``."""
    return not isinstance(node, list | tuple) and not (isinstance(node, Mapping) and part in node)


def _inside(node: Any, part: int | str) -> Any:
    try:
        return node[part]
    except (KeyError, IndexError, TypeError):
        return None
