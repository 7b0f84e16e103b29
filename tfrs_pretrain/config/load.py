"""A configuration from YAML and ``--set a.b=c`` overrides; every refusal is one line."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tfrs_pretrain.config.root import Config
from tfrs_pretrain.errors import UserError

BUNDLED = ("completejourney",)


def load_config(source: str, overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file (or a bundled configuration by name) and applies ``a.b=c`` overrides, values read as YAML.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, or a value is out of its range.
    """
    return parse_config(read_yaml(source), overrides, origin=source)


def parse_config(tree: dict[str, Any], overrides: Sequence[str] = (), *, origin: str) -> Config:
    """The same for a tree that is already read, such as the resolved configuration stored with an artifact.

    Raises:
      UserError: a key is unknown or a value is out of its range; the message names ``origin``.
    """
    tree = copy.deepcopy(tree)
    for override in overrides:
        _apply(tree, override)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(one_line(f"configuration {origin!r}", error, "`tfrs-pretrain config` prints every key")
                        ) from error


def read_yaml(source: str, what: str = "configuration") -> dict[str, Any]:
    """The mapping in a YAML file, or a bundled configuration by name; ``what`` it is appears in messages.

    Raises:
      UserError: the file is missing, holds no mapping, or a key of it stands twice.
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
        tree = yaml.load(text, _Strict)
    except yaml.YAMLError as error:
        raise UserError(f"{what} {source!r} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{what} {source!r} must be a mapping of sections, not {type(tree).__name__}")
    return tree


class _Strict(yaml.SafeLoader):
    """YAML in which a key stands once: of two, YAML's own loader silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _apply(tree: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UserError(f"--set {override!r}: write it as section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override!r}: the value is not YAML") from error
    set_key(tree, path.strip(), value, f"--set {override!r}")


def set_key(tree: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Sets a dotted key of a tree, making the sections on the way.

    Raises:
      UserError: a section on the way holds a value; the message begins with ``where``.
    """
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise UserError(f"{where}: {parent!r} holds a value, not a section")
    node[leaf] = value


def first_difference(one: Any, other: Any, path: str = "") -> str | None:
    """Dotted key of the first value in which two resolved configurations differ, with both values; None if equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            found = first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
            if found:
                return found
        return None
    return None if one == other else f"{path} ({one!r} there, {other!r} here)"


def one_line(where: str, error: ValidationError, keys: str) -> str:
    """The first problem that pydantic found in ``where``; ``keys`` says where the known keys are to be seen."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "configuration"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key {place!r}; {keys}{more}"
    came = "" if isinstance(first["input"], dict) else f", not {first['input']!r}"
    return f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}{came}{more}"
