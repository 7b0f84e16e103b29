"""Time windows of pretraining, training, validation and test."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

from pydantic import Field, model_validator

from tfrs_pretrain.strict_model import StrictModel


class Window(StrictModel):
    """Half-open interval [start, end) of the window column.

    Integers are compared with an integer column; dates and date-times (UTC) with a date or timestamp column.
    """

    start: int | datetime.datetime | datetime.date = Field(description="first value inside the window")
    end: int | datetime.datetime | datetime.date = Field(description="first value after it")

    @model_validator(mode="after")
    def _is_not_empty(self) -> Window:
        if isinstance(self.start, int) != isinstance(self.end, int):
            raise ValueError(f"start {self.start!r} and end {self.end!r} must both be integers or both be dates")
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError(f"window [{self.start}, {self.end}) is empty: end must lie after start (it is exclusive)")
        return self

    @property
    def temporal(self) -> bool:
        """Whether the bounds are dates, which are compared in microseconds, rather than integers."""
        return not isinstance(self.start, int)

    @property
    def bounds(self) -> tuple[int, int]:
        """Start and end as integers: as declared, or microseconds since 1970-01-01 UTC."""
        return _as_integer(self.start), _as_integer(self.end)

    def shifted(self, offset: Any) -> Window:
        """The window moved by an integer, or by a ``timedelta`` if its bounds are dates."""
        start, end = (getattr(self, name) + offset for name in ("start", "end"))
        return Window(start=start, end=end)

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


def _as_integer(value: int | datetime.datetime | datetime.date) -> int:
    if isinstance(value, int):
        return value
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return round((value - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) / datetime.timedelta(microseconds=1))


class Windows(StrictModel):
    """The four windows. Pretraining ends before ranking begins: overlap leaks ranking labels into the rows."""

    pretrain: Window = Field(description="engagements that Stage I is trained on")
    train: Window = Field(description="impressions that the ranker is trained on")
    validation: Window = Field(description="impressions on which settings are chosen")
    test: Window = Field(description="impressions on which the result is measured")
    allow_overlap: bool = Field(False, description="accept a pretraining window that overlaps the ranking windows")

    @model_validator(mode="after")
    def _in_order(self) -> Windows:
        names = ("pretrain", "train", "validation", "test")
        if len({getattr(self, name).temporal for name in names}) > 1:
            raise ValueError("all windows must be integers or all must be dates")
        for before, after in itertools.pairwise(names):
            earlier, later = getattr(self, before), getattr(self, after)
            if earlier.bounds[1] > later.bounds[0] and not (before == "pretrain" and self.allow_overlap):
                hint = "; set windows.allow_overlap=true to accept it" if before == "pretrain" else ""
                raise ValueError(f"window {before} {earlier} must end before window {after} {later} starts{hint}")
        return self

    def ending(self, end: str) -> Windows:
        """All windows moved by the same amount, so that the last one ends at a value.

        Args:
          end: exclusive end of the test window: an integer, a date or a date-time, as the windows are declared.

        Raises:
          ValueError: it is written in another way than the windows.
        """
        declared = self.test.end
        try:
            offset = int(end) - declared if isinstance(declared, int) else _moment(end, declared) - declared
        except ValueError as error:
            kind = "an integer" if isinstance(declared, int) else "a date such as 2024-03-31"
            raise ValueError(f"{end!r} is not {kind}, like the windows of the configuration") from error
        return self.model_copy(update={name: getattr(self, name).shifted(offset)
                                       for name in ("pretrain", "train", "validation", "test")})


def _moment(text: str, like: datetime.date) -> Any:
    """A date-time or date from ISO text, of the same type as another."""
    if not isinstance(like, datetime.datetime):
        return datetime.date.fromisoformat(text)
    moment = datetime.datetime.fromisoformat(text)
    return moment.replace(tzinfo=like.tzinfo) if moment.tzinfo is None or like.tzinfo is None else moment
