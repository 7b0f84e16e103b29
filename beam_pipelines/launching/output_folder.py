"""The output folder of a job, on any file system.

Most object stores cannot rename a folder. Therefore the manifest decides: a folder with a dataset_info.json is
finished; a folder with a marker file was left by a job that failed or was killed, and is cleaned by the next job.
"""

import contextlib
import dataclasses
import json
import posixpath
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.jobs.job import RESULTS_FOLDER
from beam_pipelines.logs.dead_letter import REJECTED_FOLDER
from beam_pipelines.records.files import atomic_write, delete, describe_file, escape, listed_digest, match
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.artifacts import manifest_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import FILES
from tfrs_pretrain.json_documents import without_digest
from tfrs_pretrain.locks import FolderLockedError, FolderUnusableError, folder_lock
from tfrs_pretrain.output_folders import refuse_working_folder

UNFINISHED_MARKER = "unfinished"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A job's claim to its output folder.

    An object store has no locks. There, the marker tells whether another job has started in the folder since.

    Attributes:
      folder: output folder of the job.
      token: content of the marker that the job wrote.
    """

    folder: str
    token: str

    def check(self) -> None:
        """Raises ClaimLostError if the marker is gone or is another job's."""
        path = posixpath.join(self.folder, UNFINISHED_MARKER)
        try:
            with FileSystems.open(path) as file:
                found = self.token.encode() in file.read()
        except (BeamIOError, OSError):
            found = False
        if not found:
            raise ClaimLostError(f"another job has started in output folder {self.folder!r} and has deleted files of "
                                 "this one: run one job at a time, or name another folder")


class ClaimLostError(UserError):
    """Another job writes to the output folder."""


@contextlib.contextmanager
def output_folder(folder: str, *, overwrite: bool) -> Iterator[Claim]:
    """Cleans and marks a folder for the body, which ends with ``finish_folder``.

    If the body raises a UserError, all files are deleted except the dead letter.

    Raises:
      UserError: another job writes to the folder, or see ``refuse_existing``.
    """
    with exclusive(folder):
        refuse_existing(folder, overwrite=overwrite)
        _delete(folder, list_files(folder), keep_folder=True)
        token = uuid.uuid4().hex
        _write_marker(folder, token)
        with _cleaned_after_user_errors(folder):
            yield Claim(folder, token)


@contextlib.contextmanager
def exclusive(folder: str) -> Iterator[None]:
    """Locks a folder on this machine's file systems; others have no locks, see ``Claim``.

    Raises:
      UserError: another job holds the lock, or the folder cannot be created or opened.
    """
    if "://" in folder:
        yield
        return
    try:
        with folder_lock(Path(folder), wait=False):
            yield
    except FolderLockedError as error:
        raise UserError(f"another job is writing to output folder {folder!r}: wait until it has finished, or name "
                        "another folder") from error
    except FolderUnusableError as error:
        marker = posixpath.join(folder, UNFINISHED_MARKER)
        raise UserError(f"{marker!r} cannot be written ({error.__cause__}): check the path, its permissions and the "
                        "free space") from error


def _write_marker(folder: str, token: str) -> None:
    with atomic_write(posixpath.join(folder, UNFINISHED_MARKER)) as file:
        file.write(f"A job is writing here, or did not finish.\n{token}\n".encode())


@contextlib.contextmanager
def _cleaned_after_user_errors(folder: str) -> Iterator[None]:
    try:
        yield
    except ClaimLostError:
        raise  # the files are the other job's
    except UserError:
        files = list_files(folder)
        rejected = [path for path in files if path.startswith(f"{REJECTED_FOLDER}/")]
        retained = {*rejected, UNFINISHED_MARKER} if rejected else set()
        _delete(folder, [path for path in files if path not in retained])
        raise


def refuse_existing(folder: str, *, overwrite: bool) -> None:
    """Protects existing data; accepts a folder that is empty or was left by an unfinished job.

    Raises:
      UserError: ``folder`` is a file; or it has other contents and ``overwrite`` is false.
    """
    if "://" not in folder:
        refuse_working_folder(Path(folder))
        if Path(folder).is_file():
            raise UserError(f"output {folder!r} is a file: name a folder")
    files = list_files(folder)
    if overwrite or not files or (UNFINISHED_MARKER in files and DATASET_INFO not in files):
        return
    problem = "has a finished dataset" if DATASET_INFO in files else "is not empty"
    raise UserError(f"output folder {folder!r} {problem}: pass --overwrite to replace it, or name another folder")


def refuse_overwriting_inputs(folder: str, inputs: Iterable[str]) -> None:
    """Protects the inputs: overwriting the folder would delete them before they are read.

    Raises:
      UserError: an input is inside the folder.
    """
    for path in inputs:
        if _resolve(path).is_relative_to(_resolve(folder)):
            raise UserError(f"output folder {folder!r} contains {path!r}, which this job reads: name another folder")


def _resolve(path: str) -> PurePath:
    return PurePath(path) if "://" in path else Path(path).resolve()


def require_unfinished(folder: str) -> None:
    """Checks that an unfinished job has written to the folder.

    Raises:
      UserError: the folder is finished, or no job has written to it.
    """
    files = list_files(folder)
    if DATASET_INFO in files or UNFINISHED_MARKER not in files:
        raise UserError(f"output folder {folder!r} has no unfinished job: use --finish after a job that was launched "
                        "from a template, with the same arguments")


def finish_folder(folder: str, kind: str, info: dict[str, Any]) -> dict[str, Any]:
    """Deletes the intermediate results, writes the manifest and deletes the marker, in this order.

    Args:
      folder: output folder of the job.
      kind: kind of the manifest.
      info: content of the manifest; the digests of all files except shards, which it already has, are added.

    Returns:
      The manifest.
    """
    files = list_files(folder)
    _delete(folder, [path for path in files if path.startswith(f"{RESULTS_FOLDER}/")])
    digests = {path: describe_file(posixpath.join(folder, path)) for path in files
               if path != UNFINISHED_MARKER and not path.startswith(f"{RESULTS_FOLDER}/")
               and not listed_digest(info, path)}
    text = manifest_text(kind, {**info, FILES: digests})
    with atomic_write(posixpath.join(folder, DATASET_INFO)) as file:
        file.write(text.encode())
    _delete(folder, [UNFINISHED_MARKER])
    return without_digest(json.loads(text))


def list_files(folder: str) -> list[str]:
    """Lists all files below a folder as paths relative to it, sorted."""
    if "://" not in folder:
        return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())
    try:
        [result] = match([posixpath.join(escape(folder), "**")])
    except BeamIOError:
        # Some file systems raise for a folder that does not exist yet.
        return []
    start = len(folder.rstrip("/")) + 1
    return sorted(metadata.path[start:] for metadata in result.metadata_list)


def _delete(folder: str, paths: list[str], *, keep_folder: bool = False) -> None:
    """Deletes files, and local folders that become empty, ``folder`` itself unless ``keep_folder``.

    The manifest goes first: the rest never looks finished.
    """
    for selected in ([path for path in paths if path == DATASET_INFO],
                     [path for path in paths if path != DATASET_INFO]):
        if selected:
            delete([posixpath.join(folder, path) for path in selected])
    if "://" not in folder and Path(folder).is_dir():
        inside = (path for path in Path(folder).rglob("*") if path.is_dir())
        for empty in [*sorted(inside, reverse=True), *([] if keep_folder else [Path(folder)])]:
            with contextlib.suppress(OSError):
                empty.rmdir()
