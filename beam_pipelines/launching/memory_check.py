"""Estimates the memory and the temporary files of a job in this process before it starts."""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from rich.text import Text

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.local_runner import DEFAULT_RUNNER, MB, spill_bytes, spill_folder, spills
from beam_pipelines.jobs.log_spec import LogSpec
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.machine import memory_bytes
from tfrs_pretrain.progress import error_console

# Measured peaks of rows that all stay in memory: 3.1 GB for 12 million engagements and 2 million impressions, 1.6 GB
# for 4 million impressions with features.
BYTES_PER_ROW = {"engagements": 220, "impressions": 400}
BASE_BYTES = 300 << 20
# Measured with temporary files: 1.5 GB for 10 million engagements and 2.5 GB for 100 million, where a shard is full.
SPILLING_BYTES = 1_000 * MB
SHARD_COPIES = 8
# Measured temporary files: 60 and 150 bytes, with int64 users, short item ids and two features.
DISK_BYTES_PER_ROW = {"engagements": 75, "impressions": 250}
GB = 1e9
OTHER_RUNNER = "another runner, such as --runner=FlinkRunner or --runner=DataflowRunner"


def check_resources(job: Job, steps: Iterable[tuple[LogSpec, ...]], options: PipelineOptions) -> None:
    """Compares the estimated needs of a job in this process with the machine; warns if it has less.

    Args:
      job: the job.
      steps: the logs that each of its pipelines reads.
      options: options of Beam, with the runner. Others than the default one are not checked.

    Raises:
      UserError: the disk has less than half of the space that the temporary files are estimated to need.
    """
    if options.view_as(StandardOptions).runner != DEFAULT_RUNNER:
        return
    tables = [{log.table for log in logs} for logs in steps]
    rows = {table: num_rows(job, table) for table in set().union(*tables)}
    counts = " and ".join(f"{rows[table]:,} {table}" for table in BYTES_PER_ROW if rows.get(table))
    if spills(options):
        _check_memory(job, rows, counts, options)
        in_files = max(_total(names, rows, DISK_BYTES_PER_ROW) for names in tables) - spill_bytes(options)
        _check_disk(in_files, counts, spill_folder(options, job.folder))
    else:
        _check_memory_of_all_rows(BASE_BYTES + max(_total(names, rows, BYTES_PER_ROW) for names in tables), counts)


def _total(names: Iterable[str], rows: dict[str, int], bytes_per_row: dict[str, int]) -> int:
    return sum(rows[name] * bytes_per_row[name] for name in names)


def _check_memory(job: Job, rows: dict[str, int], counts: str, options: PipelineOptions) -> None:
    """Warns if rows of two steps up to the limit, and one shard, exceed the memory."""
    dataset = job.config.dataset
    shard = (max((rows[name] * BYTES_PER_ROW[name] // dataset.shards for name in rows), default=0)
             if dataset.shards else SHARD_COPIES * dataset.shard_bytes)
    needed = min(BASE_BYTES + _total(rows, rows, BYTES_PER_ROW), SPILLING_BYTES + 2 * spill_bytes(options) + shard)
    if needed > (available := memory_bytes() or needed):
        _warn(f"this job needs up to {needed / GB:.1f} GB of memory for {counts}, and this machine has "
              f"{available / GB:.1f} GB: lower --spill_mb, raise dataset.shards if it is set, or use {OTHER_RUNNER}")


def _check_memory_of_all_rows(needed: int, counts: str) -> None:
    if needed > (available := memory_bytes() or needed):
        _warn(f"this job needs up to {needed / GB:.1f} GB for {counts}, and this machine has {available / GB:.1f} GB: "
              "with these options the default runner keeps all rows of the windows in memory between two steps. Leave "
              f"out --direct_running_mode, so that it uses temporary files, or use {OTHER_RUNNER}")


def _check_disk(needed: int, counts: str, folder: str) -> None:
    free = _free_bytes(Path(folder))
    if needed <= free:
        return
    problem = (f"this job needs about {needed / GB:.1f} GB of temporary files for {counts}, and the disk of {folder!r} "
               f"has {free / GB:.1f} GB: name a folder on a larger disk with --spill_folder, or use {OTHER_RUNNER}")
    if needed > 2 * free:
        raise UserError(problem)
    _warn(problem)


def _free_bytes(folder: Path) -> int:
    """Returns the free bytes where a folder is or will be created."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _warn(problem: str) -> None:
    error_console.print(Text(f"! {problem}", style="yellow"), soft_wrap=True)


def num_rows(job: Job, table: str) -> int:
    """Returns the number of rows of a table, as far as its files contain it without being read."""
    with contextlib.suppress(UserError):  # the checks of the inputs describe it
        return job.source(table).num_rows()
    return 0
