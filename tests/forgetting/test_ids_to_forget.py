"""Files of ids: formats, types, and one line for each mistake."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.forgetting.ids import ForgottenIds, read_ids


def write(path, content):
    if path.suffix == ".parquet":
        pq.write_table(pa.table(content), path)
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(("name", "content"), [
    ("ids.txt", b"7\n-9223372036854775808\n7\n\n12\n"), ("ids.txt", b"7\r\n-9223372036854775808\r\n12"),
    ("ids.csv", b"user\n7\n-9223372036854775808\n12\n"),
    ("ids.parquet", {"any": [7, -2**63, 12]}), ("ids.parquet", {"any": ["7", str(-2**63), "12"]})])
def test_integers(name, content, tmp_path):
    assert read_ids(write(tmp_path / name, content), "int64").equals(pa.array([7, -2**63, 12], pa.int64()))


@pytest.mark.parametrize(("name", "content"), [
    ("ids.txt", "ítem-1\n日本 7\n".encode()), ("ids.txt", b"\xef\xbb\xbf" + "ítem-1\n日本 7".encode()),
    ("ids.csv", '"item"\n"ítem-1"\n日本 7\n'.encode()), ("ids.parquet", {"item": ["ítem-1", "日本 7", "ítem-1"]})])
def test_strings(name, content, tmp_path):
    assert read_ids(write(tmp_path / name, content), "string").to_pylist() == ["ítem-1", "日本 7"]


@pytest.mark.parametrize(("name", "content", "dtype", "words"), [
    ("ids.json", b"[7]", "int64", "expected a file with one id a line (.txt)"),
    ("ids.txt", b"", "int64", "contains no id"), ("ids.csv", b"user\n", "int64", "contains no id"),
    ("ids.txt", b"7\nseven\n", "int64", "entry 2 is 'seven', expected an id of type int64"),
    ("ids.txt", b"7.0\n", "int64", "entry 1 is '7.0'"), ("ids.txt", b"9223372036854775808\n", "int64", "entry 1 is"),
    ("ids.txt", b"-1\n", "int64", "other than the missing value -1"),
    ("ids.csv", b"user,item\n7,8\n", "int64", "lines of several columns"),
    ("ids.parquet", {"a": [7], "b": [8]}, "int64", "has columns ['a', 'b']"),
    ("ids.parquet", {"a": [7.5]}, "int64", "entry 1 is 7.5"),
    ("ids.parquet", {"a": [None]}, "int64", "entry 1 is None"),
    ("ids.parquet", {"a": [7]}, "string", "entry 1 is 7, expected an id of type string"),
    ("ids.txt", b"\xff\xfe", "string", "cannot be read")])
def test_wrong_files_are_refused_in_one_line(name, content, dtype, words, tmp_path):
    with pytest.raises(UserError) as error:
        read_ids(write(tmp_path / name, content), dtype)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_ids(tmp_path / "absent.txt", "int64")


@pytest.mark.parametrize("values", [
    pa.array([7, 8, None], pa.int32()), pa.array(["7", "8", None]), pa.chunked_array([[7], [8, None]]),
    pa.array([7, 8, None]).dictionary_encode()])
def test_values_of_another_type_are_compared_as_text(values):
    assert ForgottenIds("user", pa.array([7, 9])).contains(values).tolist() == [True, False, False]
