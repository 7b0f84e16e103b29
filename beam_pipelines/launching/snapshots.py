"""The snapshots of a job's tables: all pipelines read the same, which the manifest records."""

import dataclasses
import datetime
from collections.abc import Iterable

from beam_pipelines.jobs.job import Job
from beam_pipelines.sources.snapshot_source import SnapshotSource
from tfrs_pretrain.config import Source
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console


def with_fixed_snapshots(job: Job, tables: Iterable[str], *, may_resolve: bool = True) -> Job:
    """Returns the job with the current snapshot of each table whose source names none.

    Args:
      job: the job.
      tables: the tables that it reads.
      may_resolve: false: another process runs or finishes the job later, when another snapshot may be the current one.

    Raises:
      UserError: a table cannot be opened, or a snapshot would have to be resolved.
    """
    fixed = {}
    for table in sorted(tables):
        declared, source = Source.from_declared(getattr(job.config.dataset.sources, table)), job.source(table)
        if isinstance(source, SnapshotSource) and declared.snapshot is None:
            if not may_resolve:
                raise UserError(f"table {table}: a template needs the snapshot that it reads: set "
                                f"dataset.sources.{table}.snapshot")
            found = source.snapshot()
            written = datetime.datetime.fromtimestamp(found.seconds, datetime.UTC).isoformat(" ", "seconds")
            console.print(f"table {table}: snapshot {found.number} of {written}, {found.num_rows:,} rows",
                          soft_wrap=True, highlight=False)
            fixed[table] = declared.model_copy(update={"snapshot": found.number})
    if not fixed:
        return job
    dataset = job.config.dataset
    sources = dataset.sources.model_copy(update=fixed)
    config = job.config.model_copy(update={"dataset": dataset.model_copy(update={"sources": sources})})
    return dataclasses.replace(job, config=config)
