"""Reads a malformed table as the dataset job does, without Beam, and judges what became of its rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import planted
import pyarrow as pa
from malformed_tables import Row, Table, good_rows
from stage_trials import HELD, LOST, SILENT, Verdict

from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.input_checks import check_columns, log_types
from beam_pipelines.logs.accounting import Account
from beam_pipelines.logs.cleaning import clean_batch
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError

BATCH_ROWS = 16


def job(folder: Path, form: str) -> Job:
    """The dataset job that reads ``impressions.<format>`` of a folder."""
    tree = planted.planted_config()
    tree["schema"]["features"] = tree["schema"]["features"][:2]  # those of the log itself
    tree["dataset"]["sources"] = {"impressions": {"path": f"impressions.{form}", "format": form}}
    return Job(Config.model_validate(tree), str(folder), str(folder / "dataset"))


def read(reading: Job) -> tuple[Account, list[Row]]:
    """Return the account of the impressions and the rows that were kept.

    Raises:
      UserError: the table is refused.
    """
    log, source = reading.impressions, reading.source("impressions")
    check_columns(reading, log.table, log_types(log), log.readers)
    account, kept = Account(), []
    for part in source.parts(str(source)):
        for batch in source.read_part(part, log.columns, BATCH_ROWS):
            cleaned = clean_batch(batch, log)
            rejected = Counter(cleaned.rejected["reason"].to_pylist())
            assert rejected == +cleaned.account.rejected, (rejected, cleaned.account)
            account += cleaned.account
            kept += pa.Table.from_batches(cleaned.by_split.values()).to_pylist() if len(cleaned.by_split) == 1 else [
                row for split in cleaned.by_split.values() for row in split.to_pylist()]
    return account, kept


def judge(reading: Job, table: Table) -> Verdict:
    """Read a table and compare the result with the rows that were written."""
    try:
        account, kept = read(reading)
    except UserError as error:
        if table.costs_rows_only:
            return Verdict(LOST, f"some bad rows cost the whole file: {error}")
        return Verdict(HELD) if "\n" not in str(error) else Verdict(LOST, f"several lines: {error}")
    except Exception as error:  # anything else would be a traceback
        return Verdict(LOST, f"{type(error).__name__}: {str(error)[:300]}")
    return _judge_account(account, kept, table) or _judge_rows(kept, table) or Verdict(HELD)


def _judge_account(account: Account, kept: list[Row], table: Table) -> Verdict | None:
    outcomes = account.kept.total() + account.rejected.total() + account.filtered.total()
    if account.read != outcomes or account.kept.total() != len(kept):
        return Verdict(SILENT, f"{account.read} rows read, {outcomes} accounted for, {len(kept)} kept: {account}")
    if table.rows is not None and account.read != len(table.rows):
        return Verdict(SILENT, f"{account.read} rows read, {len(table.rows)} written: {account}")
    return None


def _judge_rows(kept: list[Row], table: Table) -> Verdict | None:
    """The untouched rows are kept unchanged, and a touched row only with the values that were written."""
    if table.rows is None or table.touched is None:
        return None
    found = Counter(map(_identity, kept))
    untouched = Counter(_written(row) for number, row in enumerate(table.rows) if number not in table.touched)
    if missing := untouched - found:
        return Verdict(SILENT, f"untouched rows are missing or changed: {[*missing][:3]}")
    possible = Counter(_written(table.rows[number]) for number in table.touched if table.rows[number])
    possible += Counter(_written(row) for row in good_rows())  # a line of which only the damage is new
    if invented := [row for row in found - untouched if row not in possible]:
        return Verdict(SILENT, f"rows that nobody wrote: {invented[:3]}")
    return None


def _identity(row: Row) -> tuple[str, str, float]:
    return str(row["user_id"]), row["item_id"], float(row["label"])


def _written(row: Row) -> tuple[str, str, float | None]:
    """User, item and label as a person would read them; None for a label that is no number."""
    member, item, clicked = row["member"], row["item"], row["clicked"]
    text = str(int(member)) if _is_integer(member) else str(member)
    return text, item if isinstance(item, str) else _json_text(item), _label(clicked)


def _is_integer(value: Any) -> bool:
    return str(value).removeprefix("-").isdecimal() and str(value).isascii()


def _json_text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _label(value: Any) -> float | None:
    words = {"true": 1.0, "false": 0.0}
    try:
        return words[str(value).lower()] if str(value).lower() in words else float(str(value))
    except ValueError:
        return None
