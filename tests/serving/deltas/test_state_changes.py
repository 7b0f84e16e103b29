"""Changes of vocabularies and tables against naive twins."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.deltas.vocabulary_change import VocabularyChange
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.vocabulary import Vocabulary

IDS = st.lists(st.integers(-3, 12), unique=True, max_size=10)
FREE = st.sets(st.integers(0, 9), max_size=3)


def vocabulary(ids, dtype):
    values = pa.array(ids, pa.int64())
    return Vocabulary(values.cast(pa.string()) if dtype == "string" else values, np.zeros(len(ids), np.int64), 2)


def freed(ids, positions):
    return [None if position in positions else each for position, each in enumerate(ids)]


@given(st.builds(freed, IDS, FREE), st.builds(freed, IDS, FREE), st.sampled_from(["int64", "string"]))
@settings(deadline=None)
def test_a_vocabulary_change_leads_from_any_vocabulary_to_any_other(before, after, dtype):
    earlier, later = vocabulary(before, dtype), vocabulary(after, dtype)
    change = VocabularyChange.between(earlier, later, "item")
    assert change.apply(earlier).digest == later.digest
    moved = [position for position, each in enumerate(after) if position >= len(before) or before[position] != each]
    assert change.positions.tolist() == moved
    assert set(map(int, change.tombstones.to_pylist())) == set(before) - set(after) - {None}
    assert change.num_new == len(set(after) - set(before) - {None})


def test_a_vocabulary_change_is_read_as_written(tmp_path):
    change = VocabularyChange.between(vocabulary([4, 5, 6], "string"), vocabulary([4, 7], "string"), "item")
    change.save(tmp_path / "item")
    read = VocabularyChange.load(tmp_path / "item", change.summary)
    assert read.apply(vocabulary([4, 5, 6], "string")).ids.to_pylist() == ["4", "7"]
    assert read.tombstones.to_pylist() == ["5", "6"]
    assert change.summary == {"ids": 2, "changed": 1, "new": 1, "tombstones": 2}


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("rows", [3, 5, 7])
def test_a_table_change_has_the_rows_whose_bytes_differ(dtype, rows, tmp_path):
    random = np.random.default_rng(rows)
    before = StoredRows.quantized(random.normal(size=(5, 4)).astype(np.float32), dtype)
    values = np.resize(before.values, (rows, 4)).copy()
    values[1, 2] += 1
    scales = None if before.scales is None else np.resize(before.scales, (rows, 1)).copy()
    change = TableChange.between(before, StoredRows(values, scales))
    assert change.rows.tolist() == [1, *range(5, rows)]
    change.save(tmp_path / "t")
    applied = TableChange.load(tmp_path / "t", change.summary).apply(before)
    assert (applied.values.tobytes(), applied.values.dtype) == (values.tobytes(), values.dtype)
    assert scales is None or applied.scales.tobytes() == scales.tobytes()


def test_a_changed_scale_changes_an_int8_row():
    values, scales = np.ones((2, 4), np.int8), np.ones((2, 1), np.float32)
    change = TableChange.between(StoredRows(values, scales), StoredRows(values, np.array([[1], [2]], np.float32)))
    assert change.rows.tolist() == [1]


def test_rows_are_compared_by_bytes():
    before, after = np.array([[0.0], [np.nan], [1]], np.float32), np.array([[-0.0], [np.nan], [1]], np.float32)
    assert TableChange.between(StoredRows(before), StoredRows(after)).rows.tolist() == [0]
