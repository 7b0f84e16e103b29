"""Recognizes the finished output of the same job, so that a job that was killed at its very end can be started again.

The digest of a job includes the times of its input files. Datasets with equal content have equal manifests, so it is
not in the manifest but in a file of its own.
"""

import json
import posixpath
from collections.abc import Callable
from typing import Any

from apache_beam.io.filesystem import BeamIOError

from beam_pipelines.jobs.job import RUN_FILE, Job
from beam_pipelines.launching.input_state import InputState
from beam_pipelines.launching.output_folder import refuse_existing, remove_remains
from beam_pipelines.launching.own_code import own_code
from beam_pipelines.records.files import atomic_write, read_json, read_manifest_file
from beam_pipelines.transforms.vocabularies import vocabulary_info
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.finished_outputs import RUN_DIGEST, report_finished, run_digest


def job_digest(job: Job, kind: str, inputs: InputState) -> str | None:
    """Returns the digest of a job; None if a change of an input table would not be noticed.

    Args:
      job: the job.
      kind: kind of its output.
      inputs: state of its input files.
    """
    times = [time for files in inputs.values() for _, time in files.values()]
    if not all(inputs.values()) or not all(times):
        return None
    earlier = {folder: vocabulary_info(folder) for folder in (job.vocabulary, job.extend) if folder}
    return run_digest(kind=kind, config=job.config.resolved(), splits=list(job.splits), vocabulary=job.vocabulary,
                      extend=job.extend, earlier=earlier, batch_rows=job.max_batch_rows, buckets=job.buckets,
                      inputs={table: dict(files) for table, files in inputs.items()}, **own_code(job))


def write_digest(folder: str, digest: str | None) -> None:
    """Stores the digest of the job that writes to a folder."""
    if digest:
        with atomic_write(posixpath.join(folder, RUN_FILE)) as file:
            file.write(json.dumps({RUN_DIGEST: digest}).encode())


def finished_or_refused(folder: str, kind: str, digest: Callable[[], str | None], *, overwrite: bool
                        ) -> dict[str, Any] | None:
    """Returns the manifest if the same job has finished the folder; None if the job must run.

    Args:
      folder: output folder of the job.
      kind: kind of its output.
      digest: returns the digest of the job.
      overwrite: replace the contents of the folder.

    Raises:
      UserError: the folder has other contents and ``overwrite`` is false, see ``refuse_existing``.
    """
    try:
        refuse_existing(folder, overwrite=overwrite)
    except UserError:
        info = _finished_info(folder, kind, digest)
        if info is None:
            raise
        remove_remains(folder)
        report_finished(folder)
        return info
    return None


def _finished_info(folder: str, kind: str, digest: Callable[[], str | None]) -> dict[str, Any] | None:
    try:
        stored = read_json(posixpath.join(folder, RUN_FILE))
        info = read_manifest_file(posixpath.join(folder, DATASET_INFO))
        is_same = stored == {RUN_DIGEST: digest()} and info["kind"] == kind
    except (BeamIOError, OSError, ValueError, UserError):
        return None
    return dict(info) if is_same else None
