"""Checks, after a pipeline has run, that the times of the logs are comparable: otherwise the future leaks silently."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.times import DATE, INTEGER, MICROSECONDS, NAIVE, PER_SECOND, ZONED
from beam_pipelines.records.files import read_json
from tfrs_pretrain.errors import UserError

MAX_GAP = 10  # between the logs, in lengths of both
MAX_GAP_DAYS = 3653  # a shorter gap between dates is plausible


def check_times(job: Job, logs: Iterable[LogSpec]) -> None:
    """Checks the times of each log, and of the logs that are compared with each other.

    Raises:
      UserError: names the logs, what was found, and the key to set.
    """
    by_table = {log.table: log for log in logs}
    accounts = {log.table: dict(read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json")))
                for log in by_table.values()}
    for table, account in accounts.items():
        if by_table[table].time_rules.unit is None:
            check_units(job.schema.time, {table: account})
    if len(accounts) < 2 or not all(account["times"] for account in accounts.values()):
        return
    log = next(iter(by_table.values()))
    if job.schema.history or (log.windows and log.has_date_windows and job.schema.window == job.schema.time):
        check_zones(job.schema.time, {table: (account, by_table[table]) for table, account in accounts.items()})
    if job.schema.history:
        domains = {table: _domain(account, by_table[table]) for table, account in accounts.items()}
        check_domains(job.schema.time, domains)
        if INTEGER in domains.values():
            check_units(job.schema.time, accounts)
        else:
            check_resolution(job.schema.time, accounts["engagements"], accounts["impressions"],
                             by_table["engagements"].time_rules.resolution)
        check_ranges(job.schema.time, accounts["engagements"], accounts["impressions"],
                     temporal=INTEGER not in domains.values())


def check_units(column: str, accounts: dict[str, dict[str, Any]]) -> None:
    """Refuses integer times that look like epoch numbers of several units, within one log or between logs."""
    found = {f"{count} in {unit} in {table}": unit for table, account in accounts.items() for unit in PER_SECOND
             if (count := account["times"].get(f"{INTEGER} in {unit}"))}
    if len(set(found.values())) > 1:
        raise UserError(f"the times in column {column!r} look like epoch numbers of several units: "
                        f"{', '.join(found)}; set time_unit of {' and '.join(accounts)} in dataset.sources: rows in "
                        "another unit are then rejected")


def check_zones(column: str, tables: dict[str, tuple[dict[str, Any], LogSpec]]) -> None:
    """Refuses times with a zone, which epoch numbers have too, beside times whose zone is unknown."""
    zoned = [table for table, (account, log) in tables.items() if account["times"].get(ZONED) or (
        log.time_rules.unit and any(form.startswith(INTEGER) for form in account["times"]))]
    naive = [table for table, (account, log) in tables.items()
             if log.time_rules.zone is None and any(account["times"].get(form) for form in (NAIVE, DATE))]
    if zoned and naive:
        raise UserError(f"column {column!r} has times with a zone, or epoch numbers, in {' and '.join(zoned)} and "
                        f"times without one in {' and '.join(naive)}, which may differ by hours: set "
                        f"dataset.sources.{naive[0]}.time_zone, for example to UTC or Europe/Berlin")


def _domain(account: dict[str, Any], log: LogSpec) -> str:
    plain = any(form.startswith(INTEGER) for form in account["times"]) and log.time_rules.unit is None
    return INTEGER if plain else "time"


def check_domains(column: str, domains: dict[str, str]) -> None:
    """Refuses integers without a unit beside times."""
    if len(set(domains.values())) > 1:
        plain = next(table for table, domain in domains.items() if domain == INTEGER)
        raise UserError(f"schema.history compares column {column!r} of both logs, but only {plain} has integers "
                        f"without a unit: set dataset.sources.{plain}.time_unit, or store both as timestamps")


def check_resolution(column: str, engagements: dict[str, Any], impressions: dict[str, Any], declared: str | None
                     ) -> None:
    """Refuses engagements whose times are rounded down further than those of the impressions."""
    names = [*MICROSECONDS][:-1]
    dates = impressions["times"].get(DATE, 0)
    exact, total = (sum(count for form, count in account["times"].items() if not form.startswith("multiple"))
                    for account in (engagements, impressions))
    exact -= engagements["times"].get(DATE, 0)
    for name in names[:names.index(declared) if declared in names else None]:
        coarse = engagements["times"].get(f"multiple of {name}", 0)
        if 2 * coarse > exact and 2 * (impressions["times"].get(f"multiple of {name}", 0) + dates) <= total:
            raise UserError(f"{coarse} of {exact} times in column {column!r} of engagements are whole {name}s, those "
                            f"of impressions are not: histories would contain later engagements of the same {name}. "
                            f"Set dataset.sources.engagements.time_resolution={name}, so that an engagement counts "
                            f"after its {name} only, or store exact times")


def check_ranges(column: str, engagements: dict[str, Any], impressions: dict[str, Any], *, temporal: bool) -> None:
    """Refuses logs of which no history can be built, or whose ranges are implausibly far apart."""
    ends = [engagements["first"], engagements["last"], impressions["first"], impressions["last"]]
    if None in ends:
        return
    first, last, start, end = ends
    gap, length = start - last, last - first + end - start
    detected = any(f"{INTEGER} in {unit}" in account["times"]
                   for account in (engagements, impressions) for unit in PER_SECOND)
    far = gap > MAX_GAP * length and (gap > MAX_GAP_DAYS * MICROSECONDS["day"] if temporal else detected)
    if far or first >= end:
        shown = [str(np.datetime64(value, "us")) if temporal else str(value) for value in ends]
        raise UserError(f"schema.history compares column {column!r} of both logs, but its ranges are not comparable: "
                        f"{shown[0]} to {shown[1]} in engagements, {shown[2]} to {shown[3]} in impressions. Correct "
                        "dataset.sources.engagements.time_unit and time_zone, those of impressions, or the files")
