"""Rejected rows as Parquet: reason, file, position in the file and values, for people to mend their log with.

``rejected/<log>-SSSSS.parquet``. ``position`` is the line (CSV, JSON lines; from 1) or the row (Parquet, Avro; from 0)
in the file, null for BigQuery; ``values`` is JSON text of the columns as they were read (of duplicates: as they were
cleaned), or the line itself where it has no columns.
"""

import functools
import posixpath
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.records.files import atomic_write, read_json
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import combine, hash_ids

REJECTED_FOLDER = "rejected"
ROWS_PER_FILE = 1 << 18  # about: rows go to files by hash


class WriteDeadLetter(beam.PTransform):
    """Batches of cleaning.REJECTED_SCHEMA -> paths inside the output folder; no rows, no file."""

    def __init__(self, folder: str, log: str):
        super().__init__()
        self._folder, self._log = folder, log

    def expand(self, rejected: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[str]:
        count = (
            rejected
            | "Rows" >> beam.Map(lambda batch: batch.num_rows).with_output_types(int)
            | "CountRows" >> beam.CombineGlobally(sum)
        )
        return (
            rejected
            | "AssignShards" >> beam.FlatMap(_assign, beam.pvalue.AsSingleton(count)).with_output_types(
                tuple[int, pa.RecordBatch])
            | "GroupShards" >> beam.GroupByKey()
            | "WriteRejected" >> beam.MapTuple(functools.partial(
                _write, folder=self._folder, log=self._log)).with_output_types(str)
        )


def _assign(batch: pa.RecordBatch, count: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    hashes = combine(hash_ids(batch["values"]), hash_ids(batch["position"].fill_null(-1)))
    numbers = hashes % np.uint64(-(-count // ROWS_PER_FILE))
    for shard in np.unique(numbers):
        yield int(shard), batch.filter(pa.array(numbers == shard))


def _write(shard: int, batches: Iterable[pa.RecordBatch], folder: str, log: str) -> str:
    rows = pa.Table.from_batches(batches)
    rows = rows.sort_by([(name, "ascending") for name in ("file", "position", "reason", "values")])
    path = posixpath.join(REJECTED_FOLDER, f"{log}-{shard:05d}.parquet")
    with atomic_write(posixpath.join(folder, path)) as file:
        pq.write_table(rows, file)
    return path


def check_rejected(job: Job, log: LogSpec) -> None:
    """Checks that no more rows were rejected than the configuration accepts.

    Raises:
      UserError: names the reasons and where the rejected rows lie.
    """
    account = read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json"))
    rejected, accepted = sum(account["rejected"].values()), job.config.dataset.max_rejected_share
    if rejected > accepted * account["read"]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(account["rejected"].items()))
        raise UserError(f"table {log.table}: {rejected} of {account['read']} rows were rejected ({reasons}), more than "
                        f"the share {accepted} that dataset.max_rejected_share accepts; they lie, each with its reason "
                        f"and place, in {job.path(REJECTED_FOLDER, log.name)}-*.parquet")
