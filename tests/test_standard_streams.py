"""Failures of standard output and error: none stops the work, and lost text is reported."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfrs_pretrain.standard_streams import LenientStream, encodable, open_closed_streams

# A command that prints, does its work (it creates a file), and prints again.
COMMAND = """
import sys
from pathlib import Path
from tfrs_pretrain.cli import application
from tfrs_pretrain.progress import console, progress

def command():
    for _ in range(10):
        with progress("epoch"):
            console.print("✓ 验 x" + " x" * 8_000, soft_wrap=True, highlight=False)
    Path(sys.argv[1]).touch()
    sys.exit(0)

application.app = command
application.main()
"""


def run(folder, redirection="", **environment):
    """Runs the command in a shell and returns exit code, output, errors and whether the work was done."""
    done = subprocess.run(["bash", "-c", f'"$0" -c "$1" "$2" {redirection}; exit "${{PIPESTATUS[0]}}"', sys.executable,
                           COMMAND, folder / "work"], capture_output=True, check=False, timeout=120,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment)
    return done.returncode, done.stdout, done.stderr, (folder / "work").exists()


@pytest.mark.parametrize(("encoding", "check"), [
    ("latin-1", b"+ ? x"), ("ascii", b"+ ? x"), ("utf-8", "✓ 验 x".encode())])
def test_characters_that_the_encoding_lacks_are_replaced(tmp_path, encoding, check):
    code, output, errors, finished = run(tmp_path, PYTHONIOENCODING=encoding)
    assert (code, errors, finished) == (0, b"", True)
    assert output.startswith(check)
    assert output.splitlines()[-1].startswith("✓ epoch".encode() if encoding == "utf-8" else b"+ epoch")


@pytest.mark.parametrize("redirection", ["| head -n 1", ">&-", ">&- 2>&-", "2>&-"])
def test_a_reader_that_ends_and_a_closed_stream_are_no_error(tmp_path, redirection):
    code, _, errors, finished = run(tmp_path, redirection)
    assert (errors, finished) == (b"", True)
    assert code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_lost_text_is_reported_after_the_work(tmp_path):
    code, _, errors, finished = run(tmp_path, "> /dev/full")
    assert (code, finished) == (1, True)
    assert b"warning: the command finished, but its output is incomplete: [Errno 28]" in errors.replace(b"\n", b" ")
    assert b"Traceback" not in errors


def test_the_current_stream_is_used(monkeypatch):
    stream = LenientStream("stdout")
    for expected in ("one", "two"):
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        assert stream.write(expected) == 3
        assert sys.stdout.getvalue() == expected


def test_errors_are_kept_and_a_broken_pipe_is_not(monkeypatch):
    stream, raised = LenientStream("stdout"), []

    class Failing(io.StringIO):
        def write(self, text):
            raise raised[-1]

    monkeypatch.setattr(sys, "stdout", Failing())
    for error, kept in ((BrokenPipeError(), False), (OSError(28, "full"), True)):
        raised.append(error)
        stream.write("text")
        assert (stream.error is error) == kept


def test_a_closed_stream_is_no_terminal(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stdout", stream)
        assert LenientStream("stdout").isatty() is False
        assert LenientStream("stdout").write("lost") == 4


def test_a_file_name_that_is_not_utf8_can_be_printed():
    assert encodable("runs/\udcff ✓", "utf-8") == "runs/? +"


def test_closed_descriptors_are_opened_as_the_null_device():
    code = ("import os, sys; from tfrs_pretrain.standard_streams import open_closed_streams; os.close(0); os.close(2); "
            "open_closed_streams(); print([os.readlink(f'/proc/self/fd/{n}') for n in (0, 2)])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['/dev/null', '/dev/null']\n"
    open_closed_streams()  # of this process: nothing to open
