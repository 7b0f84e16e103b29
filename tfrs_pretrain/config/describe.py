"""A configuration as YAML with the description of every key, for ``tfrs-pretrain config``."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from tfrs_pretrain.strict_model import KindModel, StrictModel

_INDENT = "  "


def described_yaml(model: StrictModel) -> str:
    """Returns YAML that reads back as the model, with comments.

    Each key is described where it first occurs. Below a section with several kinds, comments list the other kinds and
    their keys.
    """
    return "\n".join(_Writer().model(model, "")) + "\n"


class _Writer:
    """Remembers what has been described."""

    def __init__(self) -> None:
        self._described: set[Any] = set()

    def model(self, model: StrictModel, indent: str) -> Iterator[str]:
        fields = type(model).model_fields
        for name, field in sorted(fields.items(), key=lambda entry: entry[0] != "kind"):
            if self._is_new((type(model), name)):
                yield f"{indent}# {field.description}"
            yield from self._entry(field.alias or name, getattr(model, name), indent)
            yield from self._other_kinds(field, getattr(model, name), indent + _INDENT)

    def _entry(self, key: str, value: Any, indent: str) -> Iterator[str]:
        if isinstance(value, StrictModel):
            yield f"{indent}{_flow(key)}:"
            yield from self.model(value, indent + _INDENT)
        elif isinstance(value, Mapping) and any(isinstance(each, StrictModel) for each in value.values()):
            yield f"{indent}{key}:"
            for name, each in value.items():
                yield from self._entry(name, each, indent + _INDENT)
        elif isinstance(value, tuple) and any(isinstance(each, StrictModel) for each in value):
            yield f"{indent}{key}:"
            for each in value:
                yield from self._item(each, indent + _INDENT)
        else:
            yield f"{indent}{_flow(key)}: {_flow(value)}"

    def _item(self, model: StrictModel, indent: str) -> Iterator[str]:
        for name, field in type(model).model_fields.items():
            if self._is_new((type(model), name)):
                yield f"{indent}# {name}: {field.description}"
        yield f"{indent}- {_flow(model)}"

    def _other_kinds(self, field: FieldInfo, value: Any, indent: str) -> Iterator[str]:
        kinds = _kinds(field.annotation)
        others = [kind for kind in kinds if kind is not type(value)]
        if isinstance(value, Mapping) or not others or not self._is_new(frozenset(kinds)):
            return
        yield f"{indent}# other kinds:"
        for kind in others:
            yield f"{indent}#   {kind.model_fields['kind'].default}: {_first_sentence(kind)}"
            for name, own in kind.model_fields.items():
                if name != "kind":
                    yield f"{indent}#     {name}: {_default(own)} - {own.description}"

    def _is_new(self, described: Any) -> bool:
        new = described not in self._described
        self._described.add(described)
        return new


def _kinds(annotation: Any) -> tuple[type[KindModel], ...]:
    """Members of the discriminated union that a key may contain."""
    if isinstance(annotation, type) and issubclass(annotation, KindModel):
        return (annotation,)
    return tuple(kind for argument in get_args(annotation) for kind in _kinds(argument))


def _flow(value: Any) -> str:
    """The value as YAML in one line."""
    plain = value if isinstance(value, datetime.date) else to_jsonable_python(value, by_alias=True)
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True,
                          default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def _default(field: FieldInfo) -> str:
    default = field.get_default()
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, KindModel):
        return str(getattr(default, "kind"))  # noqa: B009 - each member declares its own
    return _flow(default)


def _first_sentence(model: type[KindModel]) -> str:
    return " ".join((model.__doc__ or "").partition("\n\n")[0].split())
