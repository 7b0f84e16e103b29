"""The folder that a job writes, on any file system: there is no folder to rename on most, so the manifest decides.

A folder with a dataset_info.json is finished. One with a marker is what a killed or failed job left, and is cleaned
before the next one writes.
"""

import contextlib
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.jobs.job import RESULTS_FOLDER
from beam_pipelines.logs.dead_letter import REJECTED_FOLDER
from beam_pipelines.records.files import atomic_write
from tfrs_pretrain.artifacts import DATASET_INFO, manifest_text
from tfrs_pretrain.errors import UserError

UNFINISHED_MARKER = "unfinished"


@contextlib.contextmanager
def output_folder(folder: str, *, overwrite: bool) -> Iterator[None]:
    """Cleans and marks a folder; the body ends with ``finish``. After a UserError only the dead letter stays.

    Raises:
      UserError: the folder holds something that no unfinished job left, and ``overwrite`` is false.
    """
    refuse_finished(folder, overwrite=overwrite)
    _clean(folder, list_files(folder))
    with atomic_write(posixpath.join(folder, UNFINISHED_MARKER)) as file:
        file.write(b"A job is writing here, or did not finish.\n")
    try:
        yield
    except UserError:
        files = list_files(folder)
        rejected = [path for path in files if path.startswith(f"{REJECTED_FOLDER}/")]
        retained = {*rejected, UNFINISHED_MARKER} if rejected else set()
        _clean(folder, [path for path in files if path not in retained])
        raise


def refuse_finished(folder: str, *, overwrite: bool) -> None:
    """Raises UserError where writing would replace something that nobody offered for replacement."""
    if "://" not in folder and Path(folder).is_file():
        raise UserError(f"output {folder!r} is a file: name a folder")
    files = list_files(folder)
    if overwrite or not files or (UNFINISHED_MARKER in files and DATASET_INFO not in files):
        return
    came = "holds a finished dataset" if DATASET_INFO in files else "is not empty"
    raise UserError(f"output folder {folder!r} {came}: pass --overwrite to replace it, or name another")


def refuse_overwriting_inputs(folder: str, inputs: Iterable[str]) -> None:
    """Raises UserError where the folder holds something that is to be read: overwriting would delete it first."""
    for path in inputs:
        if _place(path).is_relative_to(_place(folder)):
            raise UserError(f"output folder {folder!r} holds {path!r}, which this job reads: name another output")


def _place(path: str) -> PurePath:
    return PurePath(path) if "://" in path else Path(path).resolve()


def require_unfinished(folder: str) -> None:
    """Raises UserError where no job that is still to be finished has written."""
    files = list_files(folder)
    if DATASET_INFO in files or UNFINISHED_MARKER not in files:
        raise UserError(f"output folder {folder!r} holds no unfinished job: --finish follows a job that was launched "
                        "from a template, with the same arguments")


def finish(folder: str, kind: str, info: dict[str, Any]) -> None:
    """Removes what the jobs told each other and writes the manifest, last."""
    _clean(folder, [path for path in list_files(folder) if path.startswith(f"{RESULTS_FOLDER}/")])
    with atomic_write(posixpath.join(folder, DATASET_INFO)) as file:
        file.write(manifest_text(kind, info).encode())
    _clean(folder, [UNFINISHED_MARKER])


def list_files(folder: str) -> list[str]:
    """Paths of all files below a folder, relative to it, sorted."""
    try:
        [result] = FileSystems.match([posixpath.join(folder, "**")])
    except BeamIOError:
        # Some file systems fail on a folder that is not there yet.
        return []
    start = len(folder.rstrip("/")) + 1
    paths = [metadata.path for metadata in result.metadata_list]
    return sorted(path[start:] for path in paths if "://" in path or Path(path).is_file())


def _clean(folder: str, paths: list[str]) -> None:
    """Deletes files, the manifest first so that the rest never looks finished, and local folders that become empty."""
    for chosen in ([path for path in paths if path == DATASET_INFO], [path for path in paths if path != DATASET_INFO]):
        if chosen:
            FileSystems.delete([posixpath.join(folder, path) for path in chosen])
    if "://" not in folder and Path(folder).is_dir():
        inside = (path for path in Path(folder).rglob("*") if path.is_dir())
        for empty in [*sorted(inside, reverse=True), Path(folder)]:
            with contextlib.suppress(OSError):
                empty.rmdir()
