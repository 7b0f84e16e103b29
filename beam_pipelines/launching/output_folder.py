"""The output folder of a job, on any file system.

A local folder is completed beside its place and then put there, as by ``tfrs_pretrain.output_folders``: earlier content
stays until the job has succeeded.

Most object stores cannot rename a folder. There, and for a template, whose job runs later, the files are written in
place and the manifest decides: a folder with a dataset_info.json is finished; a folder with a marker file was left by a
job that failed or was killed, and is cleaned by the next job. Earlier content is deleted when the job starts.
"""

import contextlib
import dataclasses
import os
import posixpath
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from beam_pipelines.logs.dead_letter import REJECTED_FOLDER
from beam_pipelines.records.files import atomic_write, delete, escape, match
from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.locks import FolderLockedError, FolderUnusableError, folder_lock
from tfrs_pretrain.output_folders import (
    put_in_place,
    recover,
    refuse_working_folder,
    remove_leftovers,
    unfinished_folder,
)

UNFINISHED_MARKER = "unfinished"


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a job writes.

    An object store has no locks. There, the marker tells whether another job has started in the folder since.

    Attributes:
      folder: folder to write to.
      token: content of the marker that the job wrote there.
      dead_letter: folder of the rejected rows if the job fails.
    """

    folder: str
    token: str
    dead_letter: str

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
def output_folder(folder: str, *, overwrite: bool, in_place: bool = False) -> Iterator[Output]:
    """Provides a marked folder for the body, which ends with ``finish_folder``.

    If the body raises a UserError, all files are deleted except the dead letter.

    Args:
      folder: output folder of the job.
      overwrite: replace the contents of the folder.
      in_place: write to the folder itself although it could be replaced.

    Raises:
      UserError: another job writes to the folder, or see ``refuse_existing``.
    """
    if "://" not in folder:
        recover(Path(folder))  # before the lock creates the folder
    with exclusive(folder):
        refuse_existing(folder, overwrite=overwrite)
        write = _written_in_place if in_place or not _is_replaceable(folder) else _staged
        with write(folder, overwrite) as output:
            yield output


def _is_replaceable(folder: str) -> bool:
    return "://" not in folder and not Path(folder).is_mount() and os.access(Path(folder).resolve().parent, os.W_OK)


@contextlib.contextmanager
def _written_in_place(folder: str, _: bool) -> Iterator[Output]:
    delete_files(folder, list_files(folder), keep_folder=True)
    with _cleaned_after_user_errors(folder):
        yield Output(folder, _write_marker(folder), posixpath.join(folder, REJECTED_FOLDER))


@contextlib.contextmanager
def _staged(folder: str, overwrite: bool) -> Iterator[Output]:
    target, files = Path(folder).resolve(), list_files(folder)
    if not overwrite or _is_unfinished(files):
        delete_files(folder, files, keep_folder=True)
    is_kept = any(target.iterdir())
    dead_letter = Path(f"{folder}.{REJECTED_FOLDER}") if is_kept else Path(folder, REJECTED_FOLDER)
    try:
        with unfinished_folder(target.parent, target.name) as stage:
            try:
                yield Output(str(stage), _write_marker(str(stage)), str(dead_letter))
            except UserError:
                if is_kept:
                    _put_rejected(stage, dead_letter)
                elif _delete_except_rejected(str(stage)):
                    put_in_place(stage, target, overwrite=False)
                raise
            put_in_place(stage, target, overwrite=overwrite)
    finally:
        with contextlib.suppress(OSError):  # the lock has created it
            target.rmdir()


def _put_rejected(stage: Path, target: Path) -> None:
    if (stage / REJECTED_FOLDER).is_dir():
        put_in_place(stage / REJECTED_FOLDER, target, overwrite=True)


@contextlib.contextmanager
def exclusive(folder: str) -> Iterator[None]:
    """Locks a folder on this machine's file systems; others have no locks, see ``Output``.

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


def _write_marker(folder: str) -> str:
    token = uuid.uuid4().hex
    with atomic_write(posixpath.join(folder, UNFINISHED_MARKER)) as file:
        file.write(f"A job is writing here, or did not finish.\n{token}\n".encode())
    return token


@contextlib.contextmanager
def _cleaned_after_user_errors(folder: str) -> Iterator[None]:
    try:
        yield
    except ClaimLostError:
        raise  # the files are the other job's
    except UserError:
        _delete_except_rejected(folder)
        raise


def _delete_except_rejected(folder: str) -> bool:
    """Deletes all files except rejected rows and the marker, which stays with them; returns whether there are any."""
    files = list_files(folder)
    rejected = [path for path in files if path.startswith(f"{REJECTED_FOLDER}/")]
    retained = {*rejected, UNFINISHED_MARKER} if rejected else set()
    delete_files(folder, [path for path in files if path not in retained])
    return bool(rejected)


def refuse_existing(folder: str, *, overwrite: bool) -> None:
    """Protects existing data; accepts a folder that is empty or was left by an unfinished job.

    Raises:
      UserError: ``folder`` is a file; or it has other contents and ``overwrite`` is false.
    """
    if "://" not in folder:
        refuse_working_folder(Path(folder))
        if Path(folder).is_file():
            raise UserError(f"output {folder!r} is a file: name a folder")
        recover(Path(folder))
    files = list_files(folder)
    if overwrite or not files or _is_unfinished(files):
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
    if not _is_unfinished(list_files(folder)):
        raise UserError(f"output folder {folder!r} has no unfinished job: use --finish after a job that was launched "
                        "from a template, with the same arguments")


def remove_remains(folder: str) -> None:
    """Deletes what a job has left that was killed after it had finished the folder."""
    if UNFINISHED_MARKER in list_files(folder):
        delete_files(folder, [UNFINISHED_MARKER])
    if "://" not in folder:
        remove_leftovers(Path(folder))


def _is_unfinished(files: list[str]) -> bool:
    return UNFINISHED_MARKER in files and DATASET_INFO not in files


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


def delete_files(folder: str, paths: list[str], *, keep_folder: bool = False) -> None:
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
