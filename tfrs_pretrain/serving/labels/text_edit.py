"""Messages in protobuf's text form, edited in place: comments and everything else stay as they were."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

_TOKEN = re.compile(r"""\s+|\#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[\w.+-]+|.""")


class Field(NamedTuple):
    """A field in the text: its name, where it starts and ends, and where its message's inside does."""

    name: str
    start: int
    end: int
    inside: tuple[int, int] | None


def fields(text: str) -> Iterator[Field]:
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
                yield Field(name, begin, token.end(), (opened, token.start()))
                name = ""
        elif depth == 0 and not name and word not in ",;":
            name, begin = word, token.start()
        elif depth == 0 and word not in ":,;":
            yield Field(name, begin, token.end(), None)
            name = ""


def replaced(inside: str, names: Collection[str], lines: list[str]) -> str:
    """The inside of a message with these lines in place of the fields of these names.

    Args:
      inside: text between the braces, with at least one field.
      names: of the fields that go.
      lines: of text that come, at the end.
    """
    found = list(fields(inside))
    line = inside[inside.rfind("\n", 0, found[0].start) + 1:found[0].start]
    indent = line if line.isspace() else "    "
    for field in reversed(found):
        if field.name in names:
            inside = _without(inside, field)
    closing = inside[len(inside.rstrip()):] or " "
    return inside.rstrip() + "".join(f"\n{indent}{line}" for line in lines) + closing


def _without(text: str, field: Field) -> str:
    """The text without a field, and without the lines that it had to itself."""
    line = text.rfind("\n", 0, field.start) + 1
    before, after = text[line:field.start], re.compile(r"[ \t]*[,;]?[ \t]*").match(text, field.end)
    end = after.end() if after else field.end
    if before.isspace() and text[end:end + 1] == "\n":
        return text[:line] + text[end + 1:]
    return text[:field.start] + text[end:]
