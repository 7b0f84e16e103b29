"""Reads a log: source, cleaning, duplicates, and the account of all rows."""

import apache_beam as beam
import pyarrow as pa

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.logs.accounting import SumAccounts
from beam_pipelines.logs.cleaning import ACCOUNTS, REJECTED, CleanLog
from beam_pipelines.logs.dead_letter import WriteDeadLetter
from beam_pipelines.logs.duplicates import RejectDuplicates
from beam_pipelines.records.files import WriteJson


class ReadLog(beam.PTransform):
    """Reads a log as cleaned ``(split, batch)`` elements.

    Also writes the dead letter, and as results for the launching process the account of the log's rows and the paths
    of the dead letter.
    """

    def __init__(self, job: Job, log: LogSpec):
        super().__init__()
        self._job, self._log = job, log

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        job, log = self._job, self._log
        raw = begin | "ReadTable" >> job.source(log.table).read(log.columns, job.max_batch_rows)
        cleaned = raw | "CleanLog" >> CleanLog(log)
        split_to_batch, accounts, rejected = cleaned["batches"], [cleaned[ACCOUNTS]], [cleaned[REJECTED]]
        if log.reject_duplicates:
            unique = split_to_batch | "RejectDuplicates" >> RejectDuplicates(log, job.num_buckets)
            split_to_batch = unique["batches"]
            accounts.append(unique[ACCOUNTS])
            rejected.append(unique[REJECTED])
        _ = (
            tuple(accounts)
            | "MergeAccounts" >> beam.Flatten()
            | "SumAccounts" >> beam.CombineGlobally(SumAccounts())
            | "WriteAccount" >> WriteJson(job.path(RESULTS_FOLDER, f"account-{log.name}.json"))
        )
        _ = (
            tuple(rejected)
            | "MergeRejected" >> beam.Flatten()
            | "WriteDeadLetter" >> WriteDeadLetter(job.folder, log.name)
            | "GatherPaths" >> beam.combiners.ToList()
            | "WritePaths" >> WriteJson(job.path(RESULTS_FOLDER, f"rejected-{log.name}.json"))
        )
        return split_to_batch
