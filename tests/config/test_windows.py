"""Time windows: bounds of integers and dates, time zones, order and overlap."""

import datetime
import time

import pytest
import yaml

from tfrs_pretrain.config import Window, Windows

DAY = 86_400_000_000
NAMES = ("pretrain", "train", "validation", "test")


def window(start, end):
    return Window.model_validate({"start": start, "end": end})


def windows(*bounds, **settings):
    return Windows.model_validate(dict(zip(NAMES, ({"start": start, "end": end} for start, end in bounds), strict=True))
                                  | settings)


def test_integers_stay_as_they_are():
    one = window(-3, 20220425)
    assert (one.bounds, one.temporal, str(one)) == ((-3, 20220425), False, "[-3, 20220425)")


@pytest.mark.parametrize(("value", "microseconds"), [
    (datetime.date(1970, 1, 1), 0), (datetime.date(1969, 12, 31), -DAY), ("1970-01-02", DAY),
    ("1970-01-01T00:00:00.000001", 1), ("1970-01-01T00:00:00.123456Z", 123456),
    ("1970-01-01T02:00:00+02:00", 0), ("1969-12-31T19:00:00-05:00", 0), ("1970-01-01T01:00:00", 3_600_000_000),
    ("2024-02-29", 19782 * DAY), ("2100-12-31T23:59:59.999999", 4_133_980_799_999_999)])
def test_dates_count_microseconds_since_1970_in_utc(value, microseconds):
    one = window(value, "2200-01-01")
    assert one.temporal
    assert one.bounds[0] == microseconds


def test_dates_without_a_zone_are_utc_whatever_the_local_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert window("1970-01-02", "1970-01-03T00:00:00").bounds == (DAY, 2 * DAY)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_yaml_dates_are_dates():
    one = Window.model_validate(yaml.safe_load("{start: 2024-01-01, end: 2024-01-02T12:00:00}"))
    assert one.bounds[1] - one.bounds[0] == DAY + DAY // 2


@pytest.mark.parametrize(("start", "end", "words"), [
    (5, 5, r"window \[5, 5\) is empty: end must lie after start"), (6, 5, "is empty"),
    ("2024-01-02", "2024-01-02", "is empty"),
    ("2024-01-02T00:00:00+00:00", "2024-01-02T01:00:00+02:00", "is empty"),  # an hour before the start
    (5, "2024-01-01", "must both be integers or both be dates"),
    ("2024-01-01", 5, "must both be integers or both be dates"), (1.5, 3, "start"), (None, 3, "start")])
def test_empty_and_mixed_windows_are_refused(start, end, words):
    with pytest.raises(ValueError, match=words):
        window(start, end)


def test_windows_may_touch_and_leave_gaps():
    assert windows((0, 10), (10, 20), (25, 26), (30, 31)).train.bounds == (10, 20)
    dates = windows(("2024-01-01", "2024-02-01"), ("2024-02-01T00:00:00+00:00", "2024-02-02"),
                    ("2024-02-02", "2024-02-03"), ("2024-02-03", "2024-02-04"))
    assert dates.test.temporal


@pytest.mark.parametrize(("bounds", "words"), [
    ([(0, 11), (10, 20), (20, 30), (30, 40)],
     r"window pretrain \[0, 11\) must end before window train \[10, 20\) starts; set windows.allow_overlap=true"),
    ([(0, 10), (10, 21), (20, 30), (30, 40)], r"train \[10, 21\) must end before window validation \[20, 30\)"),
    ([(0, 10), (10, 20), (20, 31), (30, 40)], r"window validation \[20, 31\) must end before window test \[30, 40\)"),
    ([(0, 10), (30, 40), (20, 30), (40, 50)], "window train"),
    ([("2024-01-01", "2024-02-01"), (10, 20), (20, 30), (30, 40)], "all windows must be integers or all")])
def test_windows_in_disorder_are_refused(bounds, words):
    with pytest.raises(ValueError, match=words):
        windows(*bounds)


def test_only_pretraining_may_overlap():
    overlap = windows((0, 35), (10, 20), (20, 30), (30, 40), allow_overlap=True)
    assert overlap.pretrain.bounds == (0, 35)
    with pytest.raises(ValueError, match=r"window train \[10, 21\) must end before .* starts \["):
        windows((0, 5), (10, 21), (20, 30), (30, 40), allow_overlap=True)
