"""Times of a log in one unit and zone: int64 microseconds since 1970-01-01 UTC, or plain integers without a unit.

A time stands for a span: a date for its day, a time rounded down to the hour for its hour, a number of milliseconds for
its millisecond. An event is certainly before another time only if the end of its span is. Times outside ``VALID`` and
epoch numbers in another unit than the declared one are bad.
"""

import dataclasses
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.jobs.log_spec import TimeRules
from tfrs_pretrain.features.stored_types import is_text

MICROSECONDS = {"second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86400 * 10**6}
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# In seconds: 1900 to 2199 for times with a known unit; 1990 to 2099 to detect the unit of an integer. Units differ by a
# factor of 1000, the bounds of detection by less than 10, so that no integer fits two units.
VALID = (-2208988800, 7258118400)
DETECTED = (631152000, 4102444800)
ZONED_TEXT = r"([0-9]Z| UTC|:[0-9.]+[+-][0-9]{2}:?[0-9]{2})$"
DATE_TEXT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
INTEGER, DATE, ZONED, NAIVE = "integer", "date", "time with a zone", "time without a zone"


@dataclasses.dataclass(frozen=True)
class Times:
    """Normalized times [n].

    Attributes:
      values: int64 [n], null if missing or bad.
      ends: int64 [n]: the last microsecond of the span that each time stands for.
      forms: number of rows by form: INTEGER, "integer in UNIT" (detected), DATE, ZONED or NAIVE; and as "multiple of
        SPAN" the number of whole days, hours, minutes and seconds, without dates and integers in no unit.
      bad: checks: reason and bool [n].
    """

    values: pa.Array
    ends: pa.Array
    forms: Counter[str]
    bad: tuple[tuple[str, np.ndarray], ...]


def normalize(raw: pa.Array, parsed: pa.Array, rules: TimeRules, *, shift_dates: bool = True) -> Times:
    """Converts the values of a time or window column.

    Args:
      raw: values as read [n].
      parsed: the same after parsing of texts: integers, dates or timestamps.
      rules: unit, zone and resolution of the log.
      shift_dates: a date is the day of the zone; false: of UTC.
    """
    if pa.types.is_integer(parsed.type):
        return _normalize_integers(parsed.cast(pa.int64()), rules)
    stored = parsed.cast(pa.timestamp("s")) if pa.types.is_date32(parsed.type) else parsed
    unit = "ms" if pa.types.is_date64(stored.type) else stored.type.unit
    local, outside = _to_microseconds(stored.cast(pa.int64()), unit)
    dates, zoned = _find_dates(raw, parsed), _find_zoned(raw, parsed)
    known = local.is_valid().to_numpy(zero_copy_only=False)
    forms = Counter({DATE: int((known & dates).sum()), ZONED: int((known & zoned).sum()),
                     NAIVE: int((known & ~dates & ~zoned).sum())})
    utc = zoned if shift_dates else zoned | dates
    values, ends = local, _ends(local, np.where(dates, MICROSECONDS["day"], _span(unit, rules)))
    if rules.zone:
        # Of a repeated hour, an impression has the earlier instant and an engagement the later one: no future leaks.
        values, ends = (pc.if_else(pa.array(utc), times, _from_local(times, rules.zone, ambiguous))
                        for times, ambiguous in ((values, "earliest"), (ends, "latest")))
    return Times(values, ends, +(forms + _count_multiples(local.filter(pa.array(~dates)))),
                 (("time out of range", outside),))


def _normalize_integers(values: pa.Array, rules: TimeRules) -> Times:
    known = values.is_valid().to_numpy(zero_copy_only=False)
    detected = {unit: _within(values, DETECTED, unit) for unit in PER_SECOND}
    forms = Counter({f"{INTEGER} in {unit}": int(mask.sum()) for unit, mask in detected.items()})
    forms[INTEGER] = int(known.sum()) - forms.total()
    if rules.unit is None:
        for unit, mask in detected.items():
            forms += _count_multiples(_to_microseconds(values.filter(pa.array(mask)), unit)[0])
        return Times(values, values, +forms, ())
    other = np.logical_or.reduce([mask for unit, mask in detected.items() if unit != rules.unit])
    times, outside = _to_microseconds(_set_null(values, other), rules.unit)
    return Times(times, _ends(times, _span(rules.unit, rules)), +(forms + _count_multiples(times)),
                 (("time in another unit", other), ("time out of range", outside)))


def _span(unit: str, rules: TimeRules) -> int:
    """Returns the microseconds that one time stands for: those of the unit, or of a declared resolution."""
    return max(MICROSECONDS["second"] // PER_SECOND[unit], MICROSECONDS.get(rules.resolution or "", 1))


def _ends(times: pa.Array, spans: int | np.ndarray) -> pa.Array:
    return pc.add(times, pa.array(np.broadcast_to(spans, len(times)) - 1, pa.int64()))


def _count_multiples(times: pa.Array) -> Counter[str]:
    known = times.drop_null().to_numpy(zero_copy_only=False)
    forms: Counter[str] = Counter()
    for name, span in MICROSECONDS.items():
        # The multiples of a longer span are among those of a shorter one.
        known = known[known % span == 0]
        forms[f"multiple of {name}"] = len(known)
    return forms


def _to_microseconds(numbers: pa.Array, unit: str) -> tuple[pa.Array, np.ndarray]:
    """Converts int64 [n] in a unit.

    Returns:
      int64 [n], null if missing or outside ``VALID``, where a conversion may wrap; and bool [n], those outside.
    """
    outside = numbers.is_valid().to_numpy(zero_copy_only=False) & ~_within(numbers, VALID, unit)
    return _scale(_set_null(numbers, outside), PER_SECOND[unit]), outside


def _within(values: pa.Array, seconds: tuple[int, int], unit: str) -> np.ndarray:
    low, high = (pa.scalar(bound * PER_SECOND[unit], pa.int64()) for bound in seconds)
    inside = pc.and_(pc.greater_equal(values, low), pc.less(values, high)).fill_null(False)
    mask: np.ndarray = inside.to_numpy(zero_copy_only=False)
    return mask


def _set_null(values: pa.Array, mask: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(mask), pa.scalar(None, pa.int64()), values)


def _scale(values: pa.Array, per_second: int) -> pa.Array:
    """Converts to microseconds; nanoseconds are rounded down."""
    if per_second <= PER_SECOND["us"]:
        return pc.multiply(values, PER_SECOND["us"] // per_second)
    known = values.fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(known // (per_second // PER_SECOND["us"]), mask=values.is_null().to_numpy(zero_copy_only=False))


def _find_dates(raw: pa.Array, parsed: pa.Array) -> np.ndarray:
    if is_text(raw.type):
        return _matches(raw, DATE_TEXT)
    return np.full(len(raw), pa.types.is_date(parsed.type))


def _find_zoned(raw: pa.Array, parsed: pa.Array) -> np.ndarray:
    if is_text(raw.type):
        return _matches(raw, ZONED_TEXT)
    return np.full(len(raw), pa.types.is_timestamp(parsed.type) and parsed.type.tz is not None)


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    found = pc.match_substring_regex(texts.cast(pa.string()), pattern).fill_null(False)
    mask: np.ndarray = found.to_numpy(zero_copy_only=False)
    return mask


def _from_local(local: pa.Array, zone: str, ambiguous: str) -> pa.Array:
    """Converts local microseconds [n] of a zone to UTC; a time that does not exist becomes the next one that does."""
    return pc.assume_timezone(local.cast(pa.timestamp("us")), zone, ambiguous=ambiguous, nonexistent="latest").cast(
        pa.int64())
