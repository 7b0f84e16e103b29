"""Conditions on one column, such as ``rating >= 4``."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated

from pydantic import AfterValidator

CONDITION = re.compile(
    r"\s*(?P<column>[^=<>!\s]([^=<>!]*[^=<>!\s])?)\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<value>[^=<>!\s].*?)\s*")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
QUOTED = re.compile(r"'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"")


@dataclasses.dataclass(frozen=True)
class Condition:
    """A comparison of a column with a constant.

    Attributes:
      column: name of the column.
      operator: one of >=, <=, >, <, ==, !=.
      value: a number, or a text.
    """

    column: str
    operator: str
    value: float | str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parses ``COLUMN OPERATOR VALUE``. Text may be quoted; without quotes a number is meant where it is one.

        Raises:
          ValueError: the text has another form, or compares the order of texts.
        """
        match = CONDITION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no condition: expected a column, one of >=, <=, >, <, ==, != and a value, "
                             "such as rating >= 4 or event == purchase")
        condition = cls(match["column"], match["operator"], _value(match["value"]))
        if not condition.is_numeric and condition.operator not in ("==", "!="):
            raise ValueError(f"{text!r} compares text with {condition.operator}: texts have == and != only")
        return condition

    @property
    def is_numeric(self) -> bool:
        """Whether the column is compared with a number."""
        return isinstance(self.value, float)


def _value(text: str) -> float | str:
    if quoted := QUOTED.fullmatch(text):
        return quoted["single"] if quoted["single"] is not None else quoted["double"]
    return float(text) if NUMBER.fullmatch(text) else text


def _checked(text: str) -> str:
    Condition.parse(text)
    return text


ConditionText = Annotated[str, AfterValidator(_checked)]
