"""Errors of the operating system, in whichever exception a library reports them.

Python raises OSError with a path. NumPy, Arrow, TensorFlow, Faiss and Beam leave out the error number or the path, or
raise another exception with the system's words in its text.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tfrs_pretrain.errors import UserError

# Conditions of a disk or of the process; with these numbers an error is no bug of the program. Others need a path.
CONDITIONS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE,
              errno.ENFILE, errno.ENAMETOOLONG, errno.ESTALE)
ADVICE = {
    errno.EFBIG: "raise the limit of the file size (`ulimit -f`), or use another file system",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.ENAMETOOLONG: "use a shorter name",
}
DEFAULT_ADVICE = "check the path, its permissions and the free space"
# NumPy counts the values of a failed write and drops the reason.
_SHORT_WRITE = re.compile(r"^\d+ requested and \d+ written$")
_PATH = re.compile(r"(?:^|[\s'\"=(])(/[^\s'\";:]+)")
_TEMPORARY = re.compile(r"/\.[^/]+\.unfinished-")


def find_system_error(error: BaseException) -> OSError | None:
    """Finds an error of the operating system in an exception or in its causes.

    Returns:
      It as an OSError with number and text, and with the path if any is known; None if there is none.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if found := _as_os_error(current):
            return found
        current = current.__cause__ or current.__context__
    return None


def describe_system_error(error: BaseException) -> str | None:
    """Describes an error of the operating system in one line with the path and what to do; None for other errors."""
    found = find_system_error(error)
    if found is None:
        return None
    path = "output" if found.filename is None else repr(str(found.filename))
    return f"{path}: {found.strerror}: {ADVICE.get(found.errno or 0, DEFAULT_ADVICE)}"


@contextlib.contextmanager
def naming(target: Path) -> Iterator[None]:
    """Raises errors of the operating system as OSError with the path: ``target`` if they have none of their own.

    A path inside a temporary folder, which the user does not know, is replaced by ``target`` too.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        found = find_system_error(error)
        if found is None:
            raise
        if found.filename is None or _TEMPORARY.search(str(found.filename)):
            found.filename = str(target)
        if found is error:
            raise
        raise found from error


def _as_os_error(error: BaseException) -> OSError | None:
    text = str(error)
    if isinstance(error, OSError):
        if error.errno is not None and (error.filename is not None or error.errno in CONDITIONS):
            return error if error.filename is not None else OSError(error.errno, os.strerror(error.errno), _path(text))
        if _SHORT_WRITE.match(text):
            return OSError(errno.ENOSPC, f"not everything could be written ({text})")
    for number in CONDITIONS if isinstance(error, Exception) else ():
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number), _path(text))
    return None


def _path(text: str) -> str | None:
    """Returns the last path before the system's words, else the first one."""
    end = min((place for number in CONDITIONS if (place := text.find(os.strerror(number))) >= 0), default=len(text))
    paths = _PATH.findall(text[:end]) or _PATH.findall(text)
    return paths[-1] if paths else None
