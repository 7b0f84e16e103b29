"""For any raw values: the way of the Beam jobs, the served graph, and a plain Python twin end at the same rows."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.features.categorical import CategoricalFeature
from tfrs_pretrain.features.history import HistoryKind
from tfrs_pretrain.features.ids import IdKind
from tfrs_pretrain.features.multi_valued import MultiValuedFeature
from tfrs_pretrain.features.numeric import NumericFeature
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.serving.graph.lookup import make_lookup
from tfrs_pretrain.vocabulary import Vocabulary

OOV_ROWS, LENGTH = 3, 2
WORDS = st.sampled_from(["", "a", "b", "日本", "c\x00d", "unknown", "other"])
NUMBERS = st.sampled_from([-1, 0, 7, -7, 2**62, 11, 12])
KNOWN = {"string": ["日本", "a", "", "c\x00d"], "int64": [7, -1, 2**62, 0]}
KINDS = {
    "word": CategoricalFeature(name="x", source="items", kind="categorical", dtype="string"),
    "code": CategoricalFeature(name="x", source="items", kind="categorical", dtype="int64"),
    "words": MultiValuedFeature(name="x", source="items", kind="multi_valued", dtype="string", max_values=LENGTH),
    "codes": MultiValuedFeature(name="x", source="items", kind="multi_valued", dtype="int64", max_values=LENGTH),
    "history": HistoryKind(LENGTH, "string"), "id": IdKind("user", "user_id", "int64")}


def twin(dtype, value):
    """Row of one raw value."""
    if value in KNOWN[dtype]:
        return OOV_ROWS + KNOWN[dtype].index(value)
    [hashed] = hash_ids(pa.array([value]))
    return int(hashed % np.uint64(OOV_ROWS))


def twin_list(dtype, values, latest):
    """Rows of a list, padded at the end."""
    present = [value for value in values if value not in ("", -1)]
    rows = [twin(dtype, value) for value in (present[-LENGTH:] if latest else present[:LENGTH])]
    return rows + [-1] * (LENGTH - len(rows))


@pytest.fixture(scope="module")
def lookups(tmp_path_factory):
    """Dtype -> (vocabulary, its lookup in a graph)."""
    folder = tmp_path_factory.mktemp("ids")
    vocabularies = {dtype: Vocabulary(pa.array(values), np.ones(len(values), np.int64), OOV_ROWS)
                    for dtype, values in KNOWN.items()}
    return {dtype: (vocabulary, make_lookup(vocabulary, folder / dtype))
            for dtype, vocabulary in vocabularies.items()}


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_all_ways_lead_to_the_same_rows(name, lookups, data):
    kind = KINDS[name]
    dtype, several = kind.raw_input.dtype, kind.record_column.length
    single = WORDS if dtype == "string" else NUMBERS
    width = data.draw(st.integers(0, 5)) if several else None
    drawn = st.lists(single, min_size=width, max_size=width) if several else single
    raw = data.draw(st.lists(drawn, min_size=1, max_size=4))
    expected = [twin_list(dtype, values, name == "history") if several else twin(dtype, values) for values in raw]
    vocabulary, in_graph = lookups[dtype]
    array = np.array(raw, object if dtype == "string" else np.int64).reshape(len(raw), *([width] if several else []))
    found = kind.batch_column(array, lambda _, values: vocabulary.lookup(values))
    assert found.tolist() == expected
    tensor = tf.constant(array, tf.as_dtype(dtype))
    served = kind.graph_column(tensor, lambda _, values: in_graph.lookup(values)).numpy()
    if several:  # padding may be anywhere, and is cut to the longest list
        served = [sorted(rows.tolist(), key=lambda row: row == -1) for rows in served]
        served = [rows + [-1] * (LENGTH - len(rows)) for rows in served]
    assert np.asarray(served).tolist() == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_numbers_are_themselves_or_missing(values):
    kind = NumericFeature(name="x", source="items", kind="numeric", dtype="float32")
    expected = np.array([value if math.isfinite(value) else math.nan for value in values], np.float32)
    raw = np.array(values, np.float32)
    np.testing.assert_array_equal(kind.batch_column(raw, None), expected)
    np.testing.assert_array_equal(kind.graph_column(tf.constant(raw), None), expected)


LISTS = st.lists(st.lists(st.one_of(st.none(), WORDS), max_size=5), max_size=4)


@settings(deadline=None, max_examples=60)
@given(LISTS, LISTS)
def test_hashes_and_counts_do_not_depend_on_the_batch(first, second):
    """Beam cuts a log into batches as it likes."""
    kind, column = KINDS["words"], pa.list_(pa.string())
    parts = [kind.clean(pa.array(part, column)) for part in (first, second)]
    whole = kind.clean(pa.array(first + second, column))
    np.testing.assert_array_equal(np.concatenate([kind.hash_values(part) for part in parts]), kind.hash_values(whole))
    counted = [value for part in parts for value in kind.counted_values(part).to_pylist()]
    assert counted == kind.counted_values(whole).to_pylist()
    assert whole.to_pylist() == [[value for value in values if value not in (None, "")][:LENGTH]
                                 for values in first + second]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), WORDS), min_size=1, max_size=6), st.data())
def test_a_category_does_not_depend_on_its_dictionary(values, data):
    """A join with a side table leaves dictionaries with values that a batch does not have, in another order."""
    kind = KINDS["word"]
    cleaned = kind.clean(pa.array(values, pa.string()))
    others = data.draw(st.permutations(sorted({value for value in values if value is not None} | {"z", "y"})))
    indices = [None if value is None else others.index(value) for value in values]
    joined = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(others))
    np.testing.assert_array_equal(kind.hash_values(joined), kind.hash_values(cleaned))
    assert kind.counted_values(joined).to_pylist() == kind.counted_values(cleaned).to_pylist()
    assert kind.golden_values(joined).to_pylist() == ["" if value is None else value for value in values]
