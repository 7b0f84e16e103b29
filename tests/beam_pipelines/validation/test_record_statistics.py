"""Statistics of columns: literal values in, literal counts out, the same however the records are divided."""

import functools
import operator
from collections import Counter

import numpy as np
import pytest

from beam_pipelines.records.example_parser import Column
from beam_pipelines.validation.record_statistics import (
    ColumnStatistics,
    SplitStatistics,
    SumStatistics,
    VocabularyRows,
    bfloat16_bins,
)


def _column(dtype: str, *lists: list, sizes=None) -> Column:
    lengths = np.array([len(values) for values in lists])
    values = np.array([value for values in lists for value in values], {"string": np.uint8}.get(dtype, dtype))
    return Column(dtype, np.arange(len(lists)), lengths, values, lengths if sizes is None else sizes)


def _histogram(statistics: ColumnStatistics) -> dict[int, int]:
    bins, counts = statistics.histogram
    return dict(zip(bins.tolist(), counts.tolist(), strict=True))


def test_rows_are_sorted_into_oov_known_and_unknown():
    rows = VocabularyRows(oov=2, size=5, exact=True)
    measured = ColumnStatistics.from_column(_column("int64", [-1], [0], [1, 2], [4], [5], [], [2]), rows)
    assert (measured.values, measured.oov, measured.unknown, measured.not_single) == (7, 2, 2, 2)
    assert _histogram(measured) == {2: 2, 4: 1}
    assert measured.dtypes == {"int64": 7}


def test_rows_of_large_vocabularies_are_counted_by_popularity_band():
    rows = VocabularyRows(oov=3, size=2**20, exact=False)
    # The band of the k-th known row is the integer part of log2(k).
    assert rows.bins(np.array([3, 4, 5, 6, 9, 10, 17, 18])).tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


def test_integers_without_a_vocabulary_are_only_counted():
    measured = ColumnStatistics.from_column(_column("int64", [7], [8]), None)
    assert (measured.values, measured.oov, measured.unknown, _histogram(measured)) == (2, 0, 0, {})


def test_floats_that_are_not_finite_are_missing():
    measured = ColumnStatistics.from_column(_column("float32", [1.0], [np.nan, -np.inf], [3.0]), None)
    assert (measured.values, measured.missing, measured.not_single) == (4, 2, 1)
    assert list(_histogram(measured).values()) == [1, 1]
    content = measured.to_json()
    assert (content["mean"], content["std"]) == (2.0, 1.0)
    assert "moments" not in content
    assert content["histogram"] == [part.tolist() for part in measured.histogram]


def test_strings_have_neither_histogram_nor_moments():
    content = ColumnStatistics.from_column(_column("string", [1, 2], [3]), None).to_json()
    assert content == {"dtypes": {"string": 2}, "not_single": 1, "values": 3, "missing": 0, "oov": 0, "unknown": 0,
                       "histogram": [[], []]}


def test_blocks_keep_the_values_but_have_the_shape_of_their_byte_strings():
    values = ColumnStatistics.from_column(_column("int64", [1, 2, 3], [4]), VocabularyRows(0, 9, exact=True))
    blocks = Column("string", np.arange(2), np.array([1, 2]), np.zeros(16, np.uint8), np.array([12, 4]))
    measured = values.with_shape_of(blocks)
    assert (measured.dtypes, measured.not_single, measured.values) == ({"string": 2}, 1, 4)
    assert _histogram(measured) == {1: 1, 2: 1, 3: 1, 4: 1}


@pytest.mark.parametrize("cuts", [[3], [1, 3], [1, 2, 3]])
def test_sums_do_not_depend_on_the_parts(cuts):
    lists = [[0.5, 0.1], [], [np.nan, 1e30]]
    parts = [ColumnStatistics.from_column(_column("float32", *lists[start:end]), None)
             for start, end in zip([0, *cuts], cuts, strict=False)]
    total = functools.reduce(operator.add, parts, ColumnStatistics())
    assert total.to_json() == ColumnStatistics.from_column(_column("float32", *lists), None).to_json()


def test_splits_add_up_field_by_field_and_column_by_column():
    one = SplitStatistics(1, 2, 3, {"a": "cut"}, {"x": ColumnStatistics(values=1), "y": ColumnStatistics(values=5)})
    other = SplitStatistics(10, 20, 30, {"b": "damaged"}, {"x": ColumnStatistics(values=2, dtypes=Counter(int64=1))})
    combine = SumStatistics()
    total = combine.add_input(combine.add_input(combine.create_accumulator(), one), other)
    content = combine.extract_output(combine.merge_accumulators([total, combine.create_accumulator()]))
    columns = content.pop("columns")
    assert content == {"records": 11, "examples": 22, "malformed": 33, "damaged": {"a": "cut", "b": "damaged"}}
    assert list(columns) == ["x", "y"]
    assert (columns["x"]["values"], columns["x"]["dtypes"], columns["y"]["values"]) == (3, {"int64": 1}, 5)
    assert one.columns["x"].values == 1


def test_bins_are_the_upper_half_of_the_bits():
    # bfloat16 of 1.0 is 0x3F80; the next one is 1 + 1/128.
    values = np.array([1, 1 + 1 / 256, 1 + 1 / 128, -1, 0, -0.0], np.float32)
    assert bfloat16_bins(values).tolist() == [0xBF80, 0xBF80, 0xBF81, 0x407F, 0x8000, 0x8000]
