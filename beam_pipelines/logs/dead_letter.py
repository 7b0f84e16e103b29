"""Dead letter: rejected rows as Parquet files ``rejected/<log>-SSSSS.parquet``, for the owner of the log to correct.

Columns: ``reason``; ``file``; ``position``, the line (CSV, JSON lines; from 1) or the row (Parquet, Avro; from 0) in
the file, null for BigQuery; ``values``, JSON text of the columns as read (for duplicates: as cleaned), or the line
itself if it could not be split into columns; of long texts the beginning.
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
from beam_pipelines.records.partitions import partition
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import combine, hash_ids

REJECTED_FOLDER = "rejected"
ROWS_PER_FILE = 1 << 18  # approximate: rows are assigned to files by hash


class WriteDeadLetter(beam.PTransform):
    """Writes batches of ``rejected_rows.REJECTED_SCHEMA``; returns the paths inside the output folder.

    Without rows there are no files.
    """

    def __init__(self, folder: str, log: str):
        super().__init__()
        self._folder, self._log = folder, log

    def expand(self, rejected: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[str]:
        num_rows = (
            rejected
            | "GetNumRows" >> beam.Map(lambda batch: batch.num_rows).with_output_types(int)
            | "SumNumRows" >> beam.CombineGlobally(sum)
        )
        return (
            rejected
            | "AssignFiles" >> beam.FlatMap(_assign_files, beam.pvalue.AsSingleton(num_rows)).with_output_types(
                tuple[int, pa.RecordBatch])
            | "GroupByFile" >> beam.GroupByKey()
            | "WriteFile" >> beam.MapTuple(functools.partial(
                _write_file, folder=self._folder, log=self._log)).with_output_types(str)
        )


def _assign_files(batch: pa.RecordBatch, num_rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    hashes = combine(hash_ids(batch["values"]), hash_ids(batch["position"].fill_null(-1)))
    yield from partition(batch, hashes % np.uint64(-(-num_rows // ROWS_PER_FILE)))


def _write_file(number: int, batches: Iterable[pa.RecordBatch], folder: str, log: str) -> str:
    table = pa.Table.from_batches(batches)
    table = table.sort_by([(name, "ascending") for name in ("file", "position", "reason", "values")])
    path = posixpath.join(REJECTED_FOLDER, f"{log}-{number:05d}.parquet")
    with atomic_write(posixpath.join(folder, path)) as file:
        pq.write_table(table, file)
    return path


def check_rejected(job: Job, log: LogSpec, dead_letter: str) -> None:
    """Checks that the share of rejected rows does not exceed ``dataset.max_rejected_share``.

    Args:
      job: the job.
      log: the log.
      dead_letter: folder of the rejected rows after a failure.

    Raises:
      UserError: names the reasons and the files with the rejected rows.
    """
    account = read_json(job.path(RESULTS_FOLDER, f"account-{log.name}.json"))
    rejected, max_share = sum(account["rejected"].values()), job.config.dataset.max_rejected_share
    if rejected > max_share * account["read"]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(account["rejected"].items()))
        raise UserError(f"table {log.table}: {rejected} of {account['read']} rows were rejected ({reasons}), more than "
                        f"dataset.max_rejected_share = {max_share} accepts; see the reason and position of each in "
                        f"{posixpath.join(dead_letter, log.name)}-*.parquet")
