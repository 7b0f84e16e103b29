"""Times of any unit, zone and type: literal microseconds, ends and bad rows."""

import dataclasses
import datetime

import pyarrow as pa
import pytest

from beam_pipelines.jobs.log_spec import LogSpec, TimeRules
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.logs.text_values import parse
from beam_pipelines.logs.times import normalize
from beam_pipelines.sources import RawBatch
from tfrs_pretrain.config import Source, Window
from tfrs_pretrain.schema import IdSpace, Schema

MARCH_2 = 1709337600_000000  # 2024-03-02T00:00Z
HOUR, DAY = 3600_000000, 86400_000000
MULTIPLES = [f"multiple of {name}" for name in ("second", "minute", "hour", "day")]


def _normalize(column: pa.Array, **rules):
    parsed = parse(column, "timestamp")[0] if column.type == pa.string() else column
    return normalize(column, parsed, TimeRules(**rules))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_are_microseconds(unit):
    column = pa.array([datetime.datetime(2024, 3, 2, 0, 0, 1), None], pa.timestamp(unit))
    assert _normalize(column).values.to_pylist() == [MARCH_2 + 10**6, None]


def test_nanoseconds_are_rounded_down():
    assert _normalize(pa.array([-1, 1999], pa.int64()).cast(pa.timestamp("ns"))).values.to_pylist() == [-1, 1]


@pytest.mark.parametrize("number", [18448454106110, -18446744073709, 2**62, -2**63, 7258118400, -2208988801])
def test_times_out_of_range_are_bad_instead_of_wrapping(number):
    """The first is 2024 after a wrap to microseconds in int64."""
    times = _normalize(pa.array([number, 1709337600], pa.int64()).cast(pa.timestamp("s")))
    assert times.values.to_pylist() == [None, MARCH_2]
    [(reason, mask)] = times.bad
    assert (reason, mask.tolist()) == ("time out of range", [True, False])


@pytest.mark.parametrize("text", ["1899-12-31", "2200-01-01T00:00", "9999-12-31"])
def test_texts_out_of_range_are_bad(text):
    [(_, mask)] = _normalize(pa.array([text, "2024-03-02", None])).bad
    assert mask.tolist() == [True, False, False]


@pytest.mark.parametrize(("unit", "number"), [
    ("s", 1709337600), ("ms", 1709337600_000), ("us", MARCH_2), ("ns", MARCH_2 * 1000)])
def test_epoch_numbers_are_converted_and_those_in_another_unit_bad(unit, number):
    for other in ("s", "ms", "us", "ns"):
        times = _normalize(pa.array([number, 0], pa.int64()), unit=other)
        assert times.values.to_pylist() == [MARCH_2 if other == unit else None, 0]
        assert times.forms == {f"integer in {unit}": 1, "integer": 1,
                               **dict.fromkeys(MULTIPLES, 2 if other == unit else 1)}
        assert dict(times.bad)["time in another unit"].tolist() == [other != unit, False]


def test_epoch_numbers_out_of_range_are_bad():
    bad = dict(_normalize(pa.array([18448454106110, 2**62, None, -5], pa.int64()), unit="s").bad)
    assert bad["time out of range"].tolist() == [True, True, False, False]


def test_integers_without_a_unit_are_not_changed():
    times = _normalize(pa.array([5, None, -2**63, 1709337600], pa.int64()))
    assert times.values.to_pylist() == times.ends.to_pylist() == [5, None, -2**63, 1709337600]
    assert (times.bad, times.forms) == ((), {"integer": 2, "integer in s": 1, **dict.fromkeys(MULTIPLES, 1)})


def test_integers_without_a_unit_are_counted_by_their_detected_unit():
    """Midnight in seconds, an hour in milliseconds, a minute in microseconds, a second and a part of one in ns."""
    numbers = [1709337600, (1709337600 + 3600) * 10**3, (1709337600 + 60) * 10**6, 1709337601 * 10**9,
               1709337601 * 10**9 + 10**8]
    forms = _normalize(pa.array(numbers)).forms
    assert [forms[name] for name in MULTIPLES] == [4, 3, 2, 1]
    assert [forms[f"integer in {unit}"] for unit in ("s", "ms", "us", "ns")] == [1, 1, 1, 2]


@pytest.mark.parametrize("column", [pa.array([datetime.date(2024, 3, 2)], pa.date32()), pa.array(["2024-03-02"]),
                                    pa.array([datetime.date(2024, 3, 2)], pa.date64())])
def test_a_date_stands_for_its_day(column):
    times = _normalize(column)
    assert (times.values.to_pylist(), times.ends.to_pylist()) == ([MARCH_2], [MARCH_2 + DAY - 1])
    assert times.forms == {"date": 1}


@pytest.mark.parametrize(("resolution", "span"), [("second", 10**6), ("minute", 60 * 10**6), ("hour", HOUR),
                                                  ("day", DAY)])
def test_a_rounded_time_stands_for_its_span(resolution, span):
    times = _normalize(pa.array(["2024-03-02T01:00", None]), resolution=resolution)
    assert times.values.to_pylist() == [MARCH_2 + HOUR, None]
    assert times.ends.to_pylist() == [MARCH_2 + HOUR + span - 1, None]


@pytest.mark.parametrize(("unit", "span"), [("s", 10**6), ("ms", 10**3), ("us", 1), ("ns", 1)])
def test_a_number_in_a_unit_stands_for_one_of_it(unit, span):
    number = 1709337600 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for times in (_normalize(pa.array([number]), unit=unit),
                  _normalize(pa.array([number]).cast(pa.timestamp(unit)))):
        assert times.ends.to_pylist() == [MARCH_2 + span - 1]
    assert _normalize(pa.array([number]), unit=unit, resolution="hour").ends.to_pylist() == [MARCH_2 + HOUR - 1]


@pytest.mark.parametrize("texts", [
    ["2024-03-02T01:00", "2024-03-02T01:00Z", "2024-03-02 01:00:00 UTC", "2024-03-02T01:00:00.5-05:00", "2024-03-02"]])
def test_the_zone_is_that_of_times_without_one(texts):
    times = _normalize(pa.array(texts), zone="Asia/Tokyo")
    assert times.values.to_pylist() == [MARCH_2 - 8 * HOUR, MARCH_2 + HOUR, MARCH_2 + HOUR, MARCH_2 + 6 * HOUR + 500000,
                                        MARCH_2 - 9 * HOUR]
    assert times.forms == {"time without a zone": 1, "time with a zone": 3, "date": 1, "multiple of hour": 3,
                           "multiple of minute": 3, "multiple of second": 3}
    typed = pa.array([datetime.datetime(2024, 3, 2)], pa.timestamp("us", "America/New_York"))
    assert _normalize(typed, zone="Asia/Tokyo").values.to_pylist() == typed.cast(pa.int64()).to_pylist()


def test_a_repeated_hour_is_late_for_engagements_and_early_for_impressions():
    """2024-10-27T02:30 exists twice in Berlin, at 00:30Z and 01:30Z; 2024-03-31T02:30 does not exist."""
    times = _normalize(pa.array(["2024-10-27T02:30", "2024-03-31T02:30", "2024-10-27"]), zone="Europe/Berlin")

    def utc(*parts):
        return int(datetime.datetime(*parts, tzinfo=datetime.UTC).timestamp()) * 10**6

    assert times.values.to_pylist() == [utc(2024, 10, 27, 0, 30), utc(2024, 3, 31, 1), utc(2024, 10, 26, 22)]
    # The day has 25 hours.
    assert times.ends.to_pylist() == [utc(2024, 10, 27, 1, 30), utc(2024, 3, 31, 1), utc(2024, 10, 27, 23) - 1]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "CET+1", ""])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(ValueError, match="not the IANA name"):
        Source(path="x", time_zone=zone)


SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="t", label="y")
LOG = LogSpec("engagements", "engagements", SCHEMA, {"pretrain": Window(start=datetime.date(2024, 3, 2),
                                                                        end=datetime.date(2024, 3, 3))})


def _clean(times: pa.Array, log: LogSpec = LOG):
    ids = pa.array([1] * len(times), pa.int64())
    return clean_batch(RawBatch("f", ids.to_numpy(), pa.RecordBatch.from_pydict({"u": ids, "i": ids, "t": times})), log)


def test_a_time_that_wraps_is_a_rejected_row():
    cleaned = _clean(pa.array([18448454106110, 1709337600], pa.int64()).cast(pa.timestamp("s")))
    assert cleaned.account.rejected == {"time out of range": 1}
    assert cleaned.rejected["values"].to_pylist() == ['{"u": 1, "i": 1, "t": 18448454106110}']
    assert (cleaned.account.kept, cleaned.account.low, cleaned.account.last) == ({"pretrain": 1}, MARCH_2, MARCH_2)


@pytest.mark.parametrize("column", [pa.array([1709337600_000, 1709337600, 1709424000_000]),
                                    pa.array(["1709337600000", "1709337600", "1709424000000"])])
def test_windows_of_dates_select_epoch_numbers_with_a_unit(column):
    cleaned = _clean(column, dataclasses.replace(LOG, time="integer", time_rules=TimeRules("ms")))
    assert cleaned.account.rejected == {"time in another unit": 1}
    assert cleaned.account.kept == {"pretrain": 1}
    assert cleaned.by_split["pretrain"]["@time"].to_pylist() == [MARCH_2]


@pytest.mark.parametrize(("column", "rules"), [
    (pa.array(["2024-03-01", "2024-03-02"]), TimeRules()),
    (pa.array([datetime.date(2024, 3, 1), datetime.date(2024, 3, 2)]), TimeRules()),
    (pa.array(["2024-03-02T11:00", "2024-03-02T12:00"]), TimeRules(resolution="hour"))])
def test_a_window_that_ends_within_the_span_of_a_time_does_not_select_it(column, rules):
    """The event may have happened after the window: at most the first row was certainly before half past twelve."""
    window = Window(start=datetime.date(2024, 2, 28), end=datetime.datetime(2024, 3, 2, 12, 30))
    cleaned = _clean(column, dataclasses.replace(LOG, windows={"pretrain": window}, time_rules=rules))
    assert (cleaned.account.kept, cleaned.account.filtered) == ({"pretrain": 1}, {"outside every window": 1})
    assert cleaned.by_split["pretrain"]["@time"].to_pylist()[0] < MARCH_2 + 12 * HOUR


def test_windows_of_integers_compare_epoch_numbers_as_stored():
    log = dataclasses.replace(LOG, time="integer", time_rules=TimeRules("ms"),
                              windows={"pretrain": Window(start=1709337600_000, end=1709337600_001)})
    cleaned = _clean(pa.array([1709337600_000, 1709337600_001]), log)
    assert (cleaned.account.kept, cleaned.by_split["pretrain"]["@time"].to_pylist()) == ({"pretrain": 1}, [MARCH_2])


@pytest.mark.parametrize("column", [pa.array([datetime.date(2024, 3, 2)]), pa.array(["2024-03-02"])])
def test_windows_of_dates_select_dates_of_any_zone(column):
    log = dataclasses.replace(LOG, time_rules=TimeRules(zone="Asia/Tokyo"))
    assert _clean(column, log).account.kept == {"pretrain": 1}
    assert _clean(pa.array(["2024-03-02T00:00"]), log).account.kept == {}
