"""Rows of a carried ranker, refreshed by what Stage I has learned since, against a loop over ids."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.transfer.refreshed_rows import Refresh
from tfrs_pretrain.vocabulary import Vocabulary

DIM, SHARED = 3, 2


def stage_one(vocabulary, trained, seed, dim=DIM):
    """Return what ``Refresh`` reads of embeddings, with trained rows for these ids; None: those of the window."""
    matrix = np.random.default_rng(seed).normal(size=(vocabulary.num_rows, dim)).astype(np.float32)
    rows = None
    if trained is not None:
        rows = np.ones(vocabulary.num_rows, bool)  # also the shared rows, which belong to no id
        rows[SHARED:] = [each in trained for each in vocabulary.ids.to_pylist()]
    return SimpleNamespace(folder="rows", matrix=lambda name: matrix, vocabulary=lambda name: vocabulary,
                           trained_rows=lambda name: rows)


@pytest.fixture
def vocabularies():
    earlier = Vocabulary.from_counts(pa.array([10, 11, 12, 13]), np.array([9, 8, 7, 6]), oov_rows=SHARED)
    return earlier, Vocabulary(pa.array([10, 11, 12, 13, 14, 15]), np.array([3, 0, 0, 0, 2, 1]), SHARED)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_each_id_keeps_its_own_training_and_gets_what_stage_one_has_learned(vocabularies, factor):
    earlier, later = vocabularies
    before, after = stage_one(earlier, None, 1), stage_one(later, {10, 11, 12, 14}, 2)
    ranker, fresh = (np.random.default_rng(seed).normal(size=(later.num_rows, DIM)).astype(np.float32)
                     for seed in (3, 4))
    table = ranker.copy()
    Refresh(before, after).apply(table, fresh, "item", SimpleNamespace(vocabulary=lambda name: later), factor)
    rows = {each: SHARED + position for position, each in enumerate(later.ids.to_pylist())}
    for each, row in rows.items():
        if each in (10, 11, 12):  # trained in both
            source = SHARED + earlier.ids.to_pylist().index(each)
            expected = ranker[row] + factor * (after.matrix("item")[row] - before.matrix("item")[source])
        elif each == 14:  # trained for the first time
            expected = fresh[row]
        else:  # 13 is not trained any more, 15 never was
            expected = ranker[row]
        np.testing.assert_allclose(table[row], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(table[:SHARED], ranker[:SHARED])


def test_rows_of_another_width_are_refused(vocabularies):
    earlier, later = vocabularies
    refresh = Refresh(stage_one(earlier, None, 1, dim=4), stage_one(later, None, 2))
    with pytest.raises(UserError, match="rows of 4 and 3 columns"):
        refresh.apply(np.zeros((later.num_rows, DIM)), np.zeros((later.num_rows, DIM)), "item",
                      SimpleNamespace(vocabulary=lambda name: later))


def test_without_both_embeddings_nothing_is_refreshed():
    assert Refresh.open(None, None) is None
