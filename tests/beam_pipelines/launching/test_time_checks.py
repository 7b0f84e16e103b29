"""Which times of two logs are refused as not comparable."""

import json

import pytest
from planted import planted_config

from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.time_checks import check_times
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError

DAY = 86400_000000
START = 19784 * DAY  # 2024-03-02
NAIVE, ZONED = "time without a zone", "time with a zone"


@pytest.fixture
def check(tmp_path):
    """Checks literal accounts; ``sources`` are settings of the tables."""
    def run(engagements: dict, impressions: dict, /, history: bool = True, window: str = "day", **sources) -> None:
        tree = planted_config()
        tree["schema"] |= {"window": window, **({"history": {"length": 2}} if history else {})}
        if window == "ts":
            names = "pretrain", "train", "validation", "test"
            tree["windows"] = {name: {"start": f"2024-03-0{day}", "end": f"2024-03-0{day + 1}"}
                               for day, name in enumerate(names, start=2)}
        tree["dataset"]["sources"] = {name: {"path": f"{name}.parquet"} | keys for name, keys in sources.items()}
        job = Job(Config.model_validate(tree), "raw", str(tmp_path))
        logs = (job.impressions, job.history if history else job.engagements)
        (tmp_path / ".results").mkdir(exist_ok=True)
        for log, account in zip(logs, (impressions, engagements), strict=True):
            (tmp_path / ".results" / f"account-{log.name}.json").write_text(json.dumps(account))
        check_times(job, logs)
    return run


def _account(first: int = START, last: int = START + 9 * DAY, windows: dict | None = None, **times: int) -> dict:
    return {"times": {name.replace("_", " "): count for name, count in times.items()}, "first": first, "last": last,
            "windows": windows or {}}


SECONDS = _account(1709337600, 1710000000, integer_in_s=100)
MILLISECONDS = _account(1709337600_000, 1710000000_000, integer_in_ms=100)


@pytest.mark.parametrize(("engagements", "impressions"), [
    (SECONDS, MILLISECONDS), (MILLISECONDS, SECONDS),
    (_account(1709337600, 1709337600_000, integer_in_s=99, integer_in_ms=1), MILLISECONDS),
    (MILLISECONDS, _account(1709337600, 1709337600_000, integer_in_s=99, integer_in_us=1))])
def test_epoch_numbers_of_several_units_are_refused(engagements, impressions, check):
    with pytest.raises(UserError, match=r"several units: .* in s in .*time_unit of .*: rows in another unit are t"):
        check(engagements, impressions)


def test_several_units_in_one_log_are_refused_without_a_history_too(check):
    with pytest.raises(UserError, match="several units: 99 in s in engagements, 1 in ms in engagements; set time_"):
        check(_account(0, 9, integer_in_s=99, integer_in_ms=1), SECONDS, history=False)
    check(SECONDS, MILLISECONDS, history=False)
    check(_account(integer_in_s=99, integer_in_ms=1), SECONDS, history=False, engagements={"time_unit": "s"})


def test_a_count_from_0_is_not_taken_for_epoch_numbers(check):
    """Microseconds since the start of the log: few are as large as seconds since 1970."""
    counted = _account(0, 2_600_000_000_000, integer=240, integer_in_s=1, integer_in_ms=760)
    check(counted, counted)
    with pytest.raises(UserError, match="several units"):
        check(_account(0, 9, integer=10, integer_in_s=1, integer_in_ms=89), MILLISECONDS)


def test_a_resolution_of_integers_needs_a_unit(check):
    rounded = _account(1709337600, 1710000000, integer_in_s=100, **{
        f"multiple_of_{name}": 100 for name in ("day", "hour", "minute", "second")})
    with pytest.raises(UserError, match=r"100 of 100 .* whole days, .*\.time_resolution=day"):
        check(rounded, SECONDS)
    with pytest.raises(UserError, match=r"engagements\.time_resolution has no meaning .*: set time_unit too"):
        check(rounded, SECONDS, engagements={"time_resolution": "day"})
    unit = {"time_unit": "s"}
    check(_account(integer_in_s=100, multiple_of_day=100), _account(integer_in_s=100),
          engagements=unit | {"time_resolution": "day"}, impressions=unit)


def test_equal_units_and_plain_integers_pass(check):
    check(SECONDS, SECONDS)
    check(_account(0, 9, integer=10), _account(5, 30, integer=10))
    check(_account(0, 9, integer=10), _account(900, 905, integer=10))


def test_integers_beside_times_need_a_unit(check):
    times = _account(**{ZONED: 100})
    with pytest.raises(UserError, match=r"only engagements has integers without a unit: set .*engagements\.time_unit"):
        check(SECONDS, times)
    with pytest.raises(UserError, match=r"set dataset\.sources\.impressions\.time_unit"):
        check(times, SECONDS)
    check(_account(integer_in_s=100), times, engagements={"time_unit": "s"})


@pytest.mark.parametrize("kinds", [(NAIVE, ZONED), (ZONED, NAIVE), ("date", ZONED)])
def test_times_without_a_zone_beside_times_with_one_are_refused(kinds, check):
    engagements, impressions = (_account(**{kind: 100}) for kind in kinds)
    naive = "impressions" if kinds[1] == NAIVE else "engagements"
    with pytest.raises(UserError, match=rf"which may differ by hours: set dataset\.sources\.{naive}\.time_zone"):
        check(engagements, impressions)
    check(engagements, impressions, **{naive: {"time_zone": "UTC"}})
    check(engagements, engagements)


def test_epoch_numbers_have_a_zone(check):
    with pytest.raises(UserError, match=r"epoch numbers, in impressions .* set dataset\.sources\.engagements\.time_z"):
        check(_account(**{NAIVE: 9}), _account(integer_in_s=9), impressions={"time_unit": "s"})


@pytest.mark.parametrize("kind", [NAIVE, "date"])
def test_zones_of_windows_of_dates_matter_without_a_history(kind, check):
    naive, zoned = _account(windows={kind: 9}), _account(windows={ZONED: 9})
    with pytest.raises(UserError, match=r"column 'ts' has times with a zone, .*engagements\.time_zone"):
        check(naive, zoned, history=False, window="ts")
    check(naive, zoned, history=False, window="ts", engagements={"time_zone": "UTC"})
    check(_account(**{NAIVE: 9}), _account(**{ZONED: 9}), history=False)


def test_whole_seconds_in_seconds_are_no_loss(check):
    seconds = _account(integer_in_s=100, multiple_of_second=100)
    check(seconds, _account(integer_in_ms=100), engagements={"time_unit": "s"}, impressions={"time_unit": "ms"})


@pytest.mark.parametrize("unit", ["day", "hour", "minute", "second"])
def test_engagements_rounded_down_further_than_impressions_are_refused(unit, check):
    rounded = _account(**{NAIVE: 100, f"multiple_of_{unit}": 51})
    exact = _account(**{NAIVE: 100, f"multiple_of_{unit}": 50})
    with pytest.raises(UserError, match=rf"51 of 100 times .* are whole {unit}s, .*\.time_resolution={unit},"):
        check(rounded, exact)
    check(rounded, exact, engagements={"time_resolution": unit})
    check(rounded, exact, engagements={"time_resolution": "day"})
    check(rounded, rounded)
    check(exact, rounded)
    check(rounded, _account(date=100))
    check(_account(date=100), exact)


def test_a_finer_declared_resolution_is_not_enough(check):
    with pytest.raises(UserError, match="time_resolution=day"):
        check(_account(**{NAIVE: 9, "multiple_of_day": 9, "multiple_of_hour": 9}), _account(**{NAIVE: 9}),
              engagements={"time_resolution": "hour"})


@pytest.mark.parametrize(("engagements", "impressions"), [
    (_account(START + 10 * DAY, START + 12 * DAY, **{NAIVE: 9}), _account(**{NAIVE: 9})),
    (_account(20 * DAY, 29 * DAY, **{NAIVE: 9}), _account(**{NAIVE: 9})),
    (_account(10, 20, integer=9), _account(0, 10, integer=9)),
    (_account(20240301, 20240309, integer=9), SECONDS)])
def test_ranges_without_a_past_or_with_an_implausible_gap_are_refused(engagements, impressions, check):
    with pytest.raises(UserError, match=r"its ranges are not comparable: .* in engagements, .* in impressions"):
        check(engagements, impressions)


def test_engagements_that_end_before_the_impressions_pass(check):
    check(_account(START - 400 * DAY, START - 399 * DAY, **{NAIVE: 9}), _account(**{NAIVE: 9}))


def test_a_log_without_times_passes(check):
    check({"times": {}, "first": None, "last": None}, SECONDS)
