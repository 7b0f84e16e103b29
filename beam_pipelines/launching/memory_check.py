"""Warns before a job starts whose rows would not fit into the memory of this machine."""

import contextlib
from collections.abc import Iterable

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from rich.text import Text

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.jobs.runner import DEFAULT_RUNNER
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.machine import memory_bytes
from tfrs_pretrain.progress import error_console

# Measured peaks of the default runner: 3.1 GB for 12 million engagements and 2 million impressions, 1.6 GB for 4
# million impressions with features.
BYTES_PER_ROW = {"engagements": 220, "impressions": 400}
BASE_BYTES = 300 << 20
GB = 1e9


def warn_of_memory(job: Job, steps: Iterable[tuple[LogSpec, ...]], options: PipelineOptions) -> None:
    """Compares the estimated peak of a job in this process with the memory of the machine.

    Args:
      job: the job.
      steps: the logs that each of its pipelines reads.
      options: options of Beam, with the runner. Only the default one keeps all rows in this process.
    """
    available = memory_bytes()
    if options.view_as(StandardOptions).runner != DEFAULT_RUNNER or available is None:
        return
    rows = {table: num_rows(job, table) for table in {log.table for logs in steps for log in logs}}
    estimate = max(_estimate({log.table for log in logs}, rows) for logs in steps)
    if estimate > available:
        counts = " and ".join(f"{rows[table]:,} {table}" for table in BYTES_PER_ROW if rows.get(table))
        error_console.print(Text(
            f"! this job needs up to {estimate / GB:.1f} GB for {counts}, and this machine has "
            f"{available / GB:.1f} GB: the default runner keeps all rows of the windows in memory between two steps. "
            "Use another runner, such as --runner=FlinkRunner or --runner=DataflowRunner, or shorter windows",
            style="yellow"), soft_wrap=True)


def _estimate(tables: set[str], rows: dict[str, int]) -> int:
    return BASE_BYTES + sum(rows[table] * BYTES_PER_ROW[table] for table in tables)


def num_rows(job: Job, table: str) -> int:
    """Returns the number of rows of a table, as far as its files contain it without being read."""
    with contextlib.suppress(UserError):  # the checks of the inputs describe it
        return job.source(table).num_rows()
    return 0
