"""The state of the input files, to notice files that change while the pipelines of a job read them."""

from collections.abc import Iterable

from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.options import MIN_BUCKETS
from beam_pipelines.records.files import FileState
from tfrs_pretrain.errors import UserError

BYTES_PER_BUCKET = 1 << 23  # of input files: 0.2 to 1 million rows in compressed columns, less in text
BUCKETS_WITHOUT_FILES = 1024

InputState = dict[str, dict[str, FileState]]  # table -> path -> state


def input_state(job: Job, tables: Iterable[str]) -> InputState:
    """Returns the state of each file of some tables; a table that is not in files has none."""
    return {table: dict(job.source(table).file_states()) for table in tables}


def choose_buckets(inputs: InputState) -> int:
    """Returns a number of buckets that limits the rows of one, by the size of the input files."""
    if not all(inputs.values()):
        return BUCKETS_WITHOUT_FILES
    num_bytes = sum(size for files in inputs.values() for size, _ in files.values())
    return max(MIN_BUCKETS, -(-num_bytes // BYTES_PER_BUCKET))


def check_unchanged(job: Job, before: InputState) -> None:
    """Checks that the files are those that the job started with: its pipelines read the same rows.

    Raises:
      UserError: names a file that was changed, added or removed.
    """
    for table, after in input_state(job, before).items():
        for path in sorted(before[table].keys() | after.keys()):
            if before[table].get(path) != after.get(path):
                change = "was added" if path not in before[table] else "was removed" if path not in after else "changed"
                raise UserError(f"{path!r} {change} while the job was reading: its pipelines have read different rows. "
                                "Run it again when the files are complete")
