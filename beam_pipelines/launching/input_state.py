"""The state of the input files, to notice files that change while the pipelines of a job read them."""

from collections.abc import Iterable

from beam_pipelines.jobs.job import Job
from tfrs_pretrain.errors import UserError

InputState = dict[str, tuple[int, float]]  # path -> size in bytes, time of the last change (0 if unknown)


def input_state(job: Job, tables: Iterable[str]) -> InputState:
    """Returns the state of each file of some tables."""
    return {path: state for table in tables for path, state in job.source(table).file_states()}


def check_unchanged(job: Job, tables: Iterable[str], before: InputState) -> None:
    """Checks that the files are those that the job started with: its pipelines read the same rows.

    Raises:
      UserError: names a file that was changed, added or removed.
    """
    after = input_state(job, tables)
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            change = "was added" if path not in before else "was removed" if path not in after else "changed"
            raise UserError(f"{path!r} {change} while the job was reading: its pipelines have read different rows. Run "
                            "it again when the files are complete")
