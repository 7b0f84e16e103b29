"""Histories of logs that store the same instants differently contain no future: against exact times."""

import dataclasses
import datetime

import numpy as np
import pyarrow as pa
import pytest

from beam_pipelines.jobs.log_spec import LogSpec, TimeRules
from beam_pipelines.logs.cleaning import clean_batch
from beam_pipelines.logs.keys import END, TIME
from beam_pipelines.sources import RawBatch
from beam_pipelines.transforms.history import Histories
from tfrs_pretrain.config import Window
from tfrs_pretrain.schema import IdSpace, Schema

SCHEMA = Schema(user=IdSpace(column="u"), item=IdSpace(column="i"), time="t", window="w", label="y")
ENGAGEMENTS = LogSpec("history", "engagements", SCHEMA, {})
IMPRESSIONS = LogSpec("impressions", "impressions", SCHEMA, {"train": Window(start=0, end=1)})
RANDOM = np.random.default_rng(5)
ENGAGED, SHOWN = (np.sort(RANDOM.integers(1709337600, 1709337600 + 5 * 86400, 200)) for _ in range(2))


def _instants(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds).cast(pa.timestamp("s"))


def _times(column: pa.Array, log: LogSpec, **rules) -> pa.Array:
    ids = pa.array(range(len(column)), pa.int64())
    columns = {"u": pa.array([1] * len(column), pa.int64()), "i": ids, "t": column, "w": pa.array([0] * len(column))}
    cleaned = clean_batch(RawBatch("f", ids.to_numpy(), pa.RecordBatch.from_pydict(columns)),
                          dataclasses.replace(log, time_rules=TimeRules(**rules)))
    [batch] = cleaned.by_split.values()
    assert batch.num_rows == len(column)
    return batch[TIME if log.windows else END]


def _histories(engaged: pa.Array, shown: pa.Array) -> list[set[int]]:
    number = len(engaged)
    events = pa.table({"user_id": pa.array([1] * number, pa.int64()), "@time": engaged,
                       "row": pa.array(range(number), pa.int32())})
    lists = Histories(events, number).before(pa.array([1] * len(shown), pa.int64()), shown.to_numpy())
    return [set(rows) for rows in lists.to_pylist()]


def _naive(past) -> list[set[int]]:
    return [{place for place, engaged in enumerate(ENGAGED) if past(int(engaged), int(shown))} for shown in SHOWN]


@pytest.mark.parametrize(("name", "span"), [("day", 86400), ("hour", 3600), ("minute", 60)])
def test_engagements_rounded_down_are_compared_by_their_unit(name, span):
    rounded = _times(_instants(ENGAGED // span * span), ENGAGEMENTS, resolution=name)
    assert _histories(rounded, _times(_instants(SHOWN), IMPRESSIONS)) == _naive(
        lambda engaged, shown: engaged // span < shown // span)


@pytest.mark.parametrize("kind", ["date", "text"])
def test_engagements_with_dates_have_no_future_of_their_day(kind):
    days = [datetime.datetime.fromtimestamp(int(second), datetime.UTC).date() for second in ENGAGED]
    column = pa.array(days) if kind == "date" else pa.array([day.isoformat() for day in days])
    expected = _naive(lambda engaged, shown: engaged // 86400 < shown // 86400)
    assert _histories(_times(column, ENGAGEMENTS), _times(_instants(SHOWN), IMPRESSIONS)) == expected
    assert any(expected)


@pytest.mark.parametrize("log", ["engagements", "impressions"])
def test_seconds_beside_milliseconds(log):
    units = {"engagements": ("s", 1), "impressions": ("ms", 1000)}
    if log == "impressions":
        units = {"engagements": ("ms", 1000), "impressions": ("s", 1)}
    (unit, factor), (other, other_factor) = units["engagements"], units["impressions"]
    assert _histories(_times(pa.array(ENGAGED * factor), ENGAGEMENTS, unit=unit),
                      _times(pa.array(SHOWN * other_factor), IMPRESSIONS, unit=other)) == _naive(
        lambda engaged, shown: engaged < shown)


def test_whole_seconds_beside_milliseconds_are_compared_by_the_second():
    """Numbers of seconds lose their milliseconds."""
    engaged, shown = ENGAGED * 1000 + 700, SHOWN * 1000 + 300
    engaged[:100] = shown[:100] + 400
    histories = _histories(_times(pa.array(engaged // 1000), ENGAGEMENTS, unit="s"),
                           _times(pa.array(shown), IMPRESSIONS, unit="ms"))
    assert histories == [{place for place, time in enumerate(engaged) if time // 1000 < at // 1000} for at in shown]


def test_milliseconds_beside_microseconds_are_compared_by_the_millisecond():
    engaged = _times(pa.array([1_500_999]).cast(pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False), ENGAGEMENTS)
    shown = _times(pa.array([1_500_500, 1_500_999, 1_501_000]).cast(pa.timestamp("us")), IMPRESSIONS)
    assert _histories(engaged, shown) == [set(), set(), {0}]


@pytest.mark.parametrize("hours", [-5, 9])
def test_local_time_beside_utc(hours):
    zone = {-5: "America/Bogota", 9: "Asia/Tokyo"}[hours]
    local = _times(_instants(ENGAGED + hours * 3600), ENGAGEMENTS, zone=zone)
    shown = _times(pa.array(SHOWN).cast(pa.timestamp("s", "UTC")), IMPRESSIONS)
    assert _histories(local, shown) == _naive(lambda engaged, shown: engaged < shown)
