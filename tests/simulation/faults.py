"""Faults that meet an operation: kill, full disk, second writer, jump of the clock, log file that comes twice."""

import contextlib
import ctypes
import os
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import forked_commands
from invariants import ViolationError

from tfrs_pretrain import file_digests
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.locks import FolderLockedError

HAS_LAYER = hasattr(ctypes.CDLL(None), "fault_arm")  # the fault layer of the campaign, for kills and full disks
MODES = {"kill": "KILL", "disk full": "FULL"} if HAS_LAYER else {}
KINDS = (*MODES, "two writers", "clock", "repeated log")
REFUSED, KILLED = 2, -9
YEAR = 365 * 86400
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = frozenset(("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "shutil.copyfile"))


class _Pending:
    call = None


def run_pending():
    """Runs the pending call; exit code 2 if it was refused with a clear message."""
    try:
        _Pending.call()
    except (UserError, OSError) as error:
        print(error)
        sys.exit(REFUSED)


def interrupted(call, root, kind, at):
    """Runs a call in a fork that is killed at a file operation, or whose disk is full from a write on.

    Returns:
      Whether the call came to its end.

    Raises:
      ViolationError: it failed with another error.
    """
    _Pending.call = call
    output = root.with_name(f"{root.name}.output")
    answer = forked_commands.run({"call": "faults:run_pending", "arguments": [], "folder": str(root.resolve()),
                                  "mode": MODES[kind], "at": at, "output": str(output)})
    text = output.read_text(errors="replace")
    output.unlink()
    allowed = {KILLED} if kind == "kill" else {0, REFUSED}
    if answer["status"] not in allowed:
        raise ViolationError("errors are clear", f"after {kind} at {at}: exit code {answer['status']}: {text[-2000:]}")
    return answer["status"] == 0


class KilledError(BaseException):
    """The process is dead: from here on, it changes nothing."""


def interrupted_here(call, root, kind, at):
    """Like ``interrupted``, for a call that talks to the server, which lives in this process."""
    if kind == "disk full":
        layer = ctypes.CDLL(None)
        layer.fault_arm(os.fsencode(str(root.resolve())), forked_commands.MODES["FULL"], ctypes.c_long(at // 4 + 1))
        try:
            with contextlib.suppress(UserError, OSError):
                call()
        finally:
            layer.fault_arm(b"/", forked_commands.MODES["OFF"], ctypes.c_long(0))
        return
    _watch()
    _Interleaving.left, _Interleaving.second, _Interleaving.root = at // 4 + 1, KilledError, str(root)
    before = _descriptors()
    try:
        with contextlib.suppress(KilledError, UserError):
            call()
    finally:
        _Interleaving.second = None
    for descriptor in _descriptors() - before:  # the system closes them, and so releases the locks, of a dead process
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _descriptors():
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


class MustWait(BaseException):
    """The second writer waits for a lock of the first one."""


class _Interleaving:
    """State of the audit hook, which cannot be removed."""

    left, second, inside, root, error = 0, None, False, "", None


def _hook(event, arguments):
    state = _Interleaving
    if state.second is None:
        return
    if state.inside:
        if event == "fcntl.flock" and not arguments[1] & 4:  # LOCK_NB
            raise MustWait
        return
    if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
        if state.root not in str(arguments[0]):
            return
        state.left -= 1
        if state.left > 0:
            return
        if state.second is KilledError:
            raise KilledError
        state.inside = True
        try:
            state.second()
        except (UserError, FolderLockedError, MustWait):
            pass
        except Exception:
            state.error = traceback.format_exc()  # it must not reach the first writer
        finally:
            state.second, state.inside = None, False


_installed = []


def _watch():
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)


def with_second_writer(call, root, at):
    """Runs a call, and the same call once more in the middle, before a file operation.

    Either may be refused; the caller runs the call a last time.
    """
    _watch()
    _Interleaving.left, _Interleaving.second, _Interleaving.root = at, call, str(root)
    try:
        with contextlib.suppress(UserError, FolderLockedError):
            call()
    finally:
        _Interleaving.second = None
    if _Interleaving.error:
        error, _Interleaving.error = _Interleaving.error, None
        raise ViolationError("errors are clear", f"second writer before file operation {at}: {error}")


def jump(root, random):
    """Gives all files of a folder, and the clock by which digests are kept, another time."""
    offset = random.choice([-YEAR, -3600, 3600, YEAR])
    file_digests.time = SimpleNamespace(time=lambda: time.time() + offset)
    moment = time.time() + random.choice([-30 * YEAR, -YEAR, YEAR])
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(f"{folder}/{name}", (moment, moment))


def repeat_log(shop, random):
    """A log file arrives once more under another name."""
    if shop.files:
        name = random.choice(sorted(shop.files))
        shop.files.setdefault(f"{name}-again", list(shop.files[name]))
