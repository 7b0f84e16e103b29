"""Local copies of remote files, for readers that map a file into memory."""

import atexit
import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path

from beam_pipelines.records.files import escape, match, open_file
from tfrs_pretrain.errors import UserError


def local_copy(path: str) -> Path:
    """Returns a local path of a file: itself, or a copy that the processes of this machine share.

    The process that has made the copy removes it at its end.

    Raises:
      UserError: the folder of the copies belongs to another user.
    """
    if "://" not in path:
        return Path(path)
    target = _folder() / _name(path)
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}")
        atexit.register(target.unlink, missing_ok=True)
        with open_file(path) as source, unfinished.open("wb") as file:
            shutil.copyfileobj(source, file)
        unfinished.replace(target)
    return target


def _folder() -> Path:
    folder = Path(tempfile.gettempdir(), f"tfrs-pretrain-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise UserError(f"{str(folder)!r} belongs to another user, but local copies of remote files go there: set "
                        "TMPDIR to a folder of your own")
    return folder


def _name(path: str) -> str:
    """Name of a copy, which follows from path, size and time of the file; unique if the time is unknown."""
    [result] = match([escape(path)])
    [found] = result.metadata_list
    version = found.last_updated_in_seconds or uuid.uuid4().hex
    return hashlib.sha256(f"{path}\n{found.size_in_bytes}\n{version}".encode()).hexdigest()
