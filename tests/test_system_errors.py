"""Errors of the operating system: recognised in the exceptions of each library, named by their path, in one line."""

import errno
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from small_files import file_size_limit

from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.system_errors import describe_system_error, find_system_error, naming

SPACE = "check the path, its permissions and the free space"


def raised(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("no error")


@pytest.mark.parametrize(("error", "line"), [
    (OSError(errno.ENOSPC, "No space left on device"), f"output: No space left on device: {SPACE}"),
    (OSError(errno.ENOSPC, "No space left on device", "/a b/c"), f"'/a b/c': No space left on device: {SPACE}"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), f"'x': No such file or directory: {SPACE}"),
    (OSError(errno.EIO, "Input/output error", "/x"), "'/x': Input/output error: check the disk"),
    (OSError(errno.EFBIG, "File too large", "/x"),
     "'/x': File too large: raise the limit of the file size (`ulimit -f`), or use another file system"),
    (OSError(errno.EMFILE, "Too many open files", "/x"),
     "'/x': Too many open files: raise the limit of open files (`ulimit -n`)"),
    (OSError("3216 requested and 0 written"),
     f"output: not everything could be written (3216 requested and 0 written): {SPACE}"),
    (RuntimeError("Error: 'ret == (size)' failed: write error in /f/exact.faiss: 40 != 94 (No space left on device)"),
     f"'/f/exact.faiss': No space left on device: {SPACE}"),
    (RuntimeError("could not open /f/x for writing: Permission denied"), f"'/f/x': Permission denied: {SPACE}"),
    (tf.errors.ResourceExhaustedError(None, None, "{{node a/SaveV2}} /f/part-0; No space left on device [Op:SaveV2]"),
     f"'/f/part-0': No space left on device: {SPACE}"),
])
def test_the_line_names_the_path_and_the_reason(error, line):
    assert describe_system_error(error) == line


@pytest.mark.parametrize("error", [
    ValueError("bad"), OSError("bad"), ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), KeyError("/x/y"), MemoryError()])
def test_other_errors_are_none_of_the_system(error):
    assert find_system_error(error) is None
    assert describe_system_error(error) is None


def test_a_cause_counts():
    with pytest.raises(RuntimeError) as caught:
        try:
            raise OSError(errno.EROFS, "Read-only file system", "/x")
        except OSError as error:
            raise RuntimeError("stage failed") from error
    assert describe_system_error(caught.value) == f"'/x': Read-only file system: {SPACE}"


@pytest.mark.parametrize("write", [
    lambda path: np.save(path, np.zeros(10_000)),
    lambda path: pq.write_table(pa.table({"a": np.random.default_rng(1).normal(size=10_000)}), path),
    lambda path: path.write_bytes(b"x" * 10_000),
    lambda path: tf.io.write_file(str(path), b"x" * 10_000),
    lambda path: tf.raw_ops.SaveV2(prefix=str(path), tensor_names=["a"], shape_and_slices=[""],
                                   tensors=[tf.zeros([10_000])]),
], ids=["numpy", "arrow", "python", "tensorflow", "tensorflow checkpoint"])
def test_a_failed_write_in_an_output_folder_names_the_folder(tmp_path, write):
    """The temporary folder has a name that the user does not know."""
    target = tmp_path / "artifact"

    def body():
        with staged_folder(target) as stage:
            write(stage / "file")

    with file_size_limit(4000):
        error = raised(body)
    assert isinstance(error, OSError)
    assert error.filename == str(target)
    assert describe_system_error(error).startswith(f"{str(target)!r}: ")
    assert list(tmp_path.iterdir()) == []


def test_a_path_of_its_own_is_kept(tmp_path):
    def body():
        with staged_folder(tmp_path / "artifact"):
            (tmp_path / "absent").read_bytes()

    assert raised(body).filename == str(tmp_path / "absent")


def test_a_single_file_is_named_without_its_temporary_name(tmp_path):
    def write():
        with file_size_limit(4000):
            write_text(tmp_path / "a.json", "x" * 10_000)

    assert describe_system_error(raised(write)).startswith(f"{str(tmp_path / 'a.json')!r}: File too large: ")
    absent = tmp_path / "absent" / "a.json"
    assert describe_system_error(raised(lambda: write_text(absent, "x"))).startswith(f"{str(absent)!r}: No such file")


def test_errors_that_say_everything_pass(tmp_path):
    error = UserError(f"'/x' cannot be written ({os.strerror(errno.ENOSPC)})")

    def body():
        with naming(tmp_path):
            raise error

    assert raised(body) is error
