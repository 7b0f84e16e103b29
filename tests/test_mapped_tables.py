"""Tables in temporary files: content, Parquet files written from them, memory, and nothing left on disk."""

import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrs_pretrain.mapped_tables import mapped_table, read_parquet_mapped

PLACES = pa.array(["(unknown)", "top", "side"])


def batches(number, rows=1000):
    random = np.random.default_rng(5)
    for _ in range(number):
        yield pa.record_batch({
            "key": pa.array(random.integers(0, 2**62, rows)),
            "user_id": pa.array([f"ü{code}" for code in random.integers(0, 50, rows)]),
            "feature.place": pa.DictionaryArray.from_arrays(pa.array(random.integers(0, 3, rows), pa.int32()), PLACES)})


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_parquet_files_of_mapped_batches_have_the_bytes_of_batches_in_memory(tmp_path, scratch):
    pq.write_table(pa.Table.from_batches(list(batches(20))), tmp_path / "memory.parquet")
    table = mapped_table(batches(20))
    assert not list(scratch.iterdir())
    pq.write_table(table, tmp_path / "mapped.parquet")
    assert (tmp_path / "mapped.parquet").read_bytes() == (tmp_path / "memory.parquet").read_bytes()


def test_the_memory_contains_one_batch(scratch):
    one = next(batches(1, 20_000)).nbytes
    before, largest = pa.total_allocated_bytes(), []

    def watched():
        for batch in batches(30, 20_000):
            largest.append(pa.total_allocated_bytes() - before)
            yield batch

    table = mapped_table(watched())
    assert table.nbytes > 20 * one
    assert max(largest) < 6 * one
    assert pa.total_allocated_bytes() - before < one


def test_a_parquet_file_is_read_into_columns_of_one_chunk(tmp_path, scratch):
    path = tmp_path / "predictions.parquet"
    pq.write_table(pa.Table.from_batches(list(batches(4, 20_000))), path, row_group_size=7000)
    table = read_parquet_mapped(path, ["user_id", "key", "feature.place"], dictionary=["user_id"])
    expected = pq.read_table(path)
    assert table.column_names == ["user_id", "key", "feature.place"]
    assert {column.num_chunks for column in table.columns} == {1}
    assert table["user_id"].type == pa.dictionary(pa.int32(), pa.string())
    for name in table.column_names:
        assert table[name].to_pylist() == expected[name].to_pylist()
    assert not list(scratch.iterdir())


def test_integers_stay_integers_and_no_rows_are_a_table_without_rows(tmp_path):
    path = tmp_path / "predictions.parquet"
    pq.write_table(pa.table({"user_id": pa.array([3, 1, 3]), "score": [0.5, 0.25, 1]}), path)
    assert read_parquet_mapped(path, ["user_id"], dictionary=["user_id"])["user_id"].to_pylist() == [3, 1, 3]
    pq.write_table(pa.table({"user_id": pa.array([], pa.string()), "score": pa.array([], pa.float32())}), path)
    assert read_parquet_mapped(path, ["score", "user_id"], dictionary=["user_id"]).num_rows == 0


def test_nothing_to_map_is_an_error():
    with pytest.raises(ValueError, match="at least one batch"):
        mapped_table([])
