"""How every job reads a log: source, cleaning, duplicates; what became of each row is written beside it."""

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
    """Cleaned ``(split, batch)`` elements of a log.

    Writes the account of its rows and the paths of its dead letter as results, and the dead letter itself.
    """

    def __init__(self, job: Job, log: LogSpec):
        super().__init__()
        self._job, self._log = job, log

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
        job, log = self._job, self._log
        raw = begin | "Read" >> job.source(log.table).read(log.columns, job.max_batch_rows)
        cleaned = raw | "Clean" >> CleanLog(log)
        batches, accounts, rejected = cleaned["batches"], [cleaned[ACCOUNTS]], [cleaned[REJECTED]]
        if log.reject_duplicates:
            single = batches | "RejectDuplicates" >> RejectDuplicates(log, job.buckets)
            batches = single["batches"]
            accounts.append(single[ACCOUNTS])
            rejected.append(single[REJECTED])
        _ = (
            tuple(accounts)
            | "AllAccounts" >> beam.Flatten()
            | "SumAccounts" >> beam.CombineGlobally(SumAccounts())
            | "WriteAccount" >> WriteJson(job.path(RESULTS_FOLDER, f"account-{log.name}.json"))
        )
        _ = (
            tuple(rejected)
            | "AllRejected" >> beam.Flatten()
            | "WriteDeadLetter" >> WriteDeadLetter(job.folder, log.name)
            | "GatherPaths" >> beam.combiners.ToList()
            | "WritePaths" >> WriteJson(job.path(RESULTS_FOLDER, f"rejected-{log.name}.json"))
        )
        return batches
