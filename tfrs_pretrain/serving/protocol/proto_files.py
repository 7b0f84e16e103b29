"""Reads ``.proto`` files, which declare protobuf messages, without a compiler.

The subset of the language: ``package``, ``import``, messages and enums, also nested, ``repeated`` and ``optional``
fields, ``oneof`` and ``map``. There are no options, no services and no comments of the form ``/* */``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_TOKEN = re.compile(r'//[^\n]*|"[^"]*"|[\w.]+|[{}=;<>,]')
_SCALARS = {kind.removeprefix("TYPE_").lower(): number for kind, number in FieldDescriptorProto.Type.items()
            if kind not in ("TYPE_GROUP", "TYPE_MESSAGE", "TYPE_ENUM")}
_LABELS = {"repeated": FieldDescriptorProto.LABEL_REPEATED, "optional": FieldDescriptorProto.LABEL_OPTIONAL}


def parse_proto(name: str, text: str) -> FileDescriptorProto:
    """Returns the descriptor of a file.

    Args:
      name: name under which other files import it.
      text: its text.
    """
    file = FileDescriptorProto(name=name, syntax="proto3")
    tokens = (token for token in _TOKEN.findall(text) if not token.startswith("//"))
    for token in tokens:
        if token == "message":
            _message(next(tokens), tokens, file.message_type.add())
        elif token == "enum":
            _enum(next(tokens), tokens, file.enum_type.add())
        elif token == "import":
            file.dependency.append(next(tokens).strip('"'))
        elif token == "package":
            file.package = next(tokens)
    return file


def _message(name: str, tokens: Iterator[str], message: DescriptorProto) -> None:
    message.name = name
    for token in _body(tokens):
        if token == "message":
            _message(next(tokens), tokens, message.nested_type.add())
        elif token == "enum":
            _enum(next(tokens), tokens, message.enum_type.add())
        elif token == "oneof":
            message.oneof_decl.add(name=next(tokens))
            place = len(message.oneof_decl) - 1
            for kind in _body(tokens):
                _field(kind, tokens, message.field.add(oneof_index=place))
        elif token == "map":
            _map(tokens, message)
        elif token in _LABELS:
            _field(next(tokens), tokens, message.field.add(label=_LABELS[token], proto3_optional=token == "optional"))
        else:
            _field(token, tokens, message.field.add())
    for field in message.field:  # protobuf represents an optional field by a oneof with one field
        if field.proto3_optional:
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")


def _body(tokens: Iterator[str]) -> Iterator[str]:
    """The first token of each entry between braces; the caller reads the rest of the entry."""
    assert next(tokens) == "{"
    while (token := next(tokens)) != "}":
        yield token


def _field(kind: str, tokens: Iterator[str], field: FieldDescriptorProto) -> None:
    field.name = next(tokens)
    field.number = _number(tokens)
    field.label = field.label if field.HasField("label") else FieldDescriptorProto.LABEL_OPTIONAL
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type_name = kind  # protobuf finds out whether it is a message or an enum


def _map(tokens: Iterator[str], message: DescriptorProto) -> None:
    """A map is a repeated field of messages with a key and a value."""
    assert next(tokens) == "<"
    key, _, value, _ = (next(tokens) for _ in range(4))
    field = message.field.add(name=next(tokens), number=_number(tokens), label=FieldDescriptorProto.LABEL_REPEATED)
    entry = message.nested_type.add(name="".join(part.capitalize() for part in field.name.split("_")) + "Entry")
    field.type_name, entry.options.map_entry = entry.name, True
    for kind, name, number in ((key, "key", "1"), (value, "value", "2")):
        _field(kind, iter((name, "=", number, ";")), entry.field.add())


def _enum(name: str, tokens: Iterator[str], enum: EnumDescriptorProto) -> None:
    enum.name = name
    for token in _body(tokens):
        enum.value.add(name=token, number=_number(tokens))


def _number(tokens: Iterator[str]) -> int:
    """The number in ``= number;``."""
    _, number, _ = (next(tokens) for _ in range(3))
    return int(number)
