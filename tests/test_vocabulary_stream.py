"""A vocabulary that is written batch by batch has the bytes of one that is written whole."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain import hash_order, vocabulary_stream
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_lifecycle import begin
from tfrs_pretrain.vocabulary_stream import VocabularyStream

NUMBERS = np.random.default_rng(0).permutation(2_000_000)[:1_200_000]
TEXTS = pa.array(["é", "", "b" * 9, "cc", "é2", "f"])


def _both(ids, cuts, folder, end=None):
    """Bytes of the vocabulary and of its look-up file, whole and from batches."""
    counts = np.arange(len(ids), 0, -1)
    vocabulary = Vocabulary(ids, counts, 2)
    vocabulary = begin(vocabulary, end) if end else vocabulary
    vocabulary.save(folder / "whole.parquet")
    vocabulary.id_lookup.save(folder / "whole.arrow")
    bounds = [0, *cuts, len(ids)]

    def batches():
        for start, stop in itertools.pairwise(bounds):
            yield pa.table({"id": ids.slice(start, stop - start), "count": counts[start:stop]})

    stream = VocabularyStream(batches, 2, end)
    stream.save(folder / "stream.parquet")
    stream.save_lookup(folder / "stream.arrow")
    return [(folder / name).read_bytes() for name in (
        "whole.parquet", "stream.parquet", "whole.arrow", "stream.arrow")]


def test_row_groups_are_those_of_a_whole_table(tmp_path):
    whole, stream, lookup, lookup_of_stream = _both(pa.array(NUMBERS), [3, 700_000, 1_100_000], tmp_path)
    assert stream == whole
    assert lookup_of_stream == lookup


@pytest.mark.parametrize("end", [None, 7])
@pytest.mark.parametrize(("ids", "cuts"), [(TEXTS, [1, 4]), (TEXTS, [2, 2]), (TEXTS.slice(0, 0), []),
                                           (pa.array([5, 3, -1, 9]), [2])])
def test_small_vocabularies_of_all_kinds(ids, cuts, end, tmp_path, monkeypatch):
    monkeypatch.setattr(hash_order, "IDS_PER_PART", 2)
    whole, stream, lookup, lookup_of_stream = _both(ids, cuts, tmp_path, end)
    assert stream == whole
    assert lookup_of_stream == lookup


def test_batches_are_regrouped():
    bounds = (0, 1), (1, 6), (6, 6), (6, 8)
    tables = [pa.table({"x": pa.array(range(start, stop), pa.int64())}) for start, stop in bounds]
    sizes = [table["x"].to_pylist() for table in vocabulary_stream._regrouped(tables, 3)]
    assert sizes == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [table.num_rows for table in vocabulary_stream._regrouped(tables[:1] * 3, 3)] == [3]


def test_too_many_rows_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("tfrs_pretrain.id_arrays.MAX_ROWS", 5)
    with pytest.raises(UserError, match="its ids need 6 rows, and records contain rows below 5"):
        VocabularyStream(lambda: iter([pa.table({"id": [7, 8, 9, 10], "count": [4, 3, 2, 1]})]), 2).save(tmp_path / "v")
