"""Checks, after a pipeline has run, that the times of the logs are comparable: otherwise the future leaks silently."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec, TimeRules
from beam_pipelines.logs.times import DATE, INTEGER, MICROSECONDS, NAIVE, PER_SECOND, ZONED
from beam_pipelines.records.files import read_json
from tfrs_pretrain.errors import UserError

MAX_GAP_DAYS = 3653  # between dates or timestamps of both logs
MAX_GAP_LENGTHS = 10  # between epoch numbers, in lengths of both logs
MAX_PLAIN_SHARE = 0.1  # of integers in no unit, above which the others are not taken for epoch numbers

Tables = dict[str, dict[str, Any]]  # name of a table -> its account


def check_times(job: Job, logs: Iterable[LogSpec]) -> None:
    """Checks the times of each log, and of the logs that are compared with each other.

    Raises:
      UserError: names the logs, what was found, and the key to set.
    """
    by_table = {log.table: log for log in logs}
    rules = {table: log.time_rules for table, log in by_table.items()}
    tables = {table: dict(read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json")))
              for table, log in by_table.items()}
    time, window = job.schema.time, job.schema.window
    for table, account in tables.items():
        if rules[table].unit is None:
            check_units(time, {table: account})
        if rules[table].resolution and _is_plain(account["times"], rules[table]):
            raise UserError(f"dataset.sources.{table}.time_resolution has no meaning for integers without a unit, "
                            f"as in column {time!r}: set time_unit too")
    if all(log.windows and log.has_date_windows for log in by_table.values()):
        check_zones(window, {table: account["windows"] for table, account in tables.items()}, rules)
    if job.compares_times and len(tables) > 1 and all(account["times"] for account in tables.values()):
        check_zones(time, {table: account["times"] for table, account in tables.items()}, rules)
        plain = check_kinds(time, {table: _is_plain(account["times"], rules[table])
                                   for table, account in tables.items()})
        if plain:
            check_units(time, tables)
        check_resolution(time, tables["engagements"], tables["impressions"], rules["engagements"])
        check_ranges(time, tables["engagements"], tables["impressions"], temporal=not plain)


def _is_plain(forms: dict[str, int], rules: TimeRules) -> bool:
    return rules.unit is None and any(form.startswith(INTEGER) for form in forms)


def check_units(column: str, tables: Tables) -> None:
    """Refuses integer times that look like epoch numbers of several units, within one log or between logs."""
    found = {(table, unit): count for table, account in tables.items() for unit, count in _by_unit(account).items()}
    if len({unit for _, unit in found}) > 1:
        counts = ", ".join(f"{count} in {unit} in {table}" for (table, unit), count in found.items())
        raise UserError(f"the times in column {column!r} look like epoch numbers of several units: {counts}; set "
                        f"time_unit of {' and '.join(tables)} in dataset.sources: rows in another unit are then "
                        "rejected")


def _by_unit(account: dict[str, Any]) -> dict[str, int]:
    """Returns the number of epoch numbers by unit; none if many integers are in no unit, as in a count from 0."""
    forms = account["times"]
    counts = {unit: forms[f"{INTEGER} in {unit}"] for unit in PER_SECOND if f"{INTEGER} in {unit}" in forms}
    plain = forms.get(INTEGER, 0)
    return counts if plain <= MAX_PLAIN_SHARE * (plain + sum(counts.values())) else {}


def check_zones(column: str, tables: dict[str, dict[str, int]], rules: dict[str, TimeRules]) -> None:
    """Refuses times with a zone, which epoch numbers have too, beside times whose zone is unknown.

    Args:
      column: name for the message.
      tables: table -> number of values of the column by form.
      rules: table -> its rules.
    """
    zoned = [table for table, forms in tables.items() if forms.get(ZONED) or (
        rules[table].unit and any(form.startswith(INTEGER) for form in forms))]
    naive = [table for table, forms in tables.items()
             if rules[table].zone is None and (forms.get(NAIVE) or forms.get(DATE))]
    if zoned and naive:
        raise UserError(f"column {column!r} has times with a zone, or epoch numbers, in {' and '.join(zoned)} and "
                        f"times without one in {' and '.join(naive)}, which may differ by hours: set "
                        f"dataset.sources.{naive[0]}.time_zone, for example to UTC or Europe/Berlin")


def check_kinds(column: str, plain: dict[str, bool]) -> bool:
    """Refuses integers without a unit beside times; returns whether all are integers without a unit."""
    if len(set(plain.values())) > 1:
        table = next(table for table, is_plain in plain.items() if is_plain)
        raise UserError(f"column {column!r} of both logs is compared, but only {table} has integers "
                        f"without a unit: set dataset.sources.{table}.time_unit, or store both as timestamps")
    return all(plain.values())


def check_resolution(column: str, engagements: dict[str, Any], impressions: dict[str, Any], rules: TimeRules) -> None:
    """Refuses engagements whose times are rounded down further than those of the impressions, and than declared."""
    known = max(MICROSECONDS.get(rules.resolution or "", 0), MICROSECONDS["second"] if rules.unit == "s" else 0)
    exact, total = (_num_known(account["times"]) for account in (engagements, impressions))
    exact -= engagements["times"].get(DATE, 0)
    dates = impressions["times"].get(DATE, 0)
    for name, span in sorted(MICROSECONDS.items(), key=lambda item: -item[1]):
        coarse = engagements["times"].get(f"multiple of {name}", 0)
        if span > known and 2 * coarse > exact and (
                2 * (impressions["times"].get(f"multiple of {name}", 0) + dates) <= total):
            raise UserError(f"{coarse} of {exact} times in column {column!r} of engagements are whole {name}s, those "
                            f"of impressions are not: histories would contain later engagements of the same {name}. "
                            f"Set dataset.sources.engagements.time_resolution={name}, so that an engagement counts "
                            f"after its {name} only, or store exact times")


def _num_known(forms: dict[str, int]) -> int:
    return sum(count for form, count in forms.items() if not form.startswith("multiple"))


def check_ranges(column: str, engagements: dict[str, Any], impressions: dict[str, Any], *, temporal: bool) -> None:
    """Refuses logs of which no history can be built, or whose ranges are implausibly far apart."""
    ends = [engagements["first"], engagements["last"], impressions["first"], impressions["last"]]
    if None in ends:
        return
    first, last, start, end = ends
    if temporal:
        far = start - last > MAX_GAP_DAYS * MICROSECONDS["day"]
    else:
        epoch = _by_unit(engagements) or _by_unit(impressions)
        far = bool(epoch) and start - last > MAX_GAP_LENGTHS * (last - first + end - start)
    if far or first >= end:
        shown = [str(np.datetime64(value, "us")) if temporal else str(value) for value in ends]
        raise UserError(f"column {column!r} of both logs is compared, but its ranges are not comparable: "
                        f"{shown[0]} to {shown[1]} in engagements, {shown[2]} to {shown[3]} in impressions. Correct "
                        "dataset.sources.engagements.time_unit and time_zone, those of impressions, or the files")
