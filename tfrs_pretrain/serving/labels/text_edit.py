"""Edits protobuf messages in text format in place: comments and all other fields stay unchanged."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

# White space, a comment, a quoted string, a word or number, or a single character.
_TOKEN = re.compile(r"""\s+|\#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[\w.+-]+|.""")


class Field(NamedTuple):
    """A field in the text.

    Attributes:
      name: name of the field.
      start: position of its first character.
      end: position after its last character.
      body: start and end of the text between its braces; None: the field is no message.
    """

    name: str
    start: int
    end: int
    body: tuple[int, int] | None


def fields(text: str) -> Iterator[Field]:
    """Yields the fields of a message's body, without the fields nested in them."""
    name, start, body_start, depth = "", 0, 0, 0
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.isspace() or word.startswith("#"):
            continue
        if word == "{":
            depth += 1
            body_start = token.end() if depth == 1 else body_start
        elif word == "}":
            depth -= 1
            if depth == 0:
                yield Field(name, start, token.end(), (body_start, token.start()))
                name = ""
        elif depth == 0 and not name and word not in ",;":
            name, start = word, token.start()
        elif depth == 0 and word not in ":,;":
            yield Field(name, start, token.end(), None)
            name = ""


def replace_fields(body: str, names: Collection[str], lines: list[str]) -> str:
    """Returns the body of a message with the named fields removed and lines appended.

    Args:
      body: text between the braces, with at least one field.
      names: names of the fields to remove.
      lines: lines to append; they get the indentation of the first field.
    """
    present = list(fields(body))
    before_first = body[body.rfind("\n", 0, present[0].start) + 1:present[0].start]
    indent = before_first if before_first.isspace() else "    "
    for field in reversed(present):
        if field.name in names:
            body = _without(body, field)
    closing = body[len(body.rstrip()):] or " "
    return body.rstrip() + "".join(f"\n{indent}{line}" for line in lines) + closing


def _without(text: str, field: Field) -> str:
    """Text without a field, and without the lines that contain nothing else."""
    line_start = text.rfind("\n", 0, field.start) + 1
    before, separator = text[line_start:field.start], re.compile(r"[ \t]*[,;]?[ \t]*").match(text, field.end)
    end = separator.end() if separator else field.end
    if before.isspace() and text[end:end + 1] == "\n":
        return text[:line_start] + text[end + 1:]
    return text[:field.start] + text[end:]
