"""Candidates of a batch by source, their counts and positions, against literals."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates, in_batch_candidates
from tfrs_pretrain.pretraining.known_positives import KnownPositives
from tfrs_pretrain.pretraining.logit_positions import LogitPositions
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling

POSITIVES = tf.constant([7, 3, 7, 7, 5])
STEP = tf.constant(4, tf.int64)


def positions(*pairs):
    queries, negatives = np.array(pairs, np.int32).reshape(-1, 2).T
    return LogitPositions(tf.constant(queries), tf.constant(negatives))


def listed(found):
    return list(zip(found.queries.numpy().tolist(), found.negatives.numpy().tolist(), strict=True))


def draws(sampling):
    """The uniform draws of a step, from a batch without positives of its own."""
    alone = NegativeSampling(False, sampling.sampler)
    found = alone.candidates(tf.constant([0]), STEP)
    return np.repeat(found.ids[:len(found.counts)].numpy(), found.counts.numpy())


def test_in_batch_candidates_are_those_of_the_batch():
    found = NegativeSampling().candidates(POSITIVES, STEP)
    assert found.ids.numpy().tolist() == [7, 3, 5]
    assert found.counts.numpy().tolist() == [3, 1, 1]
    assert found.positive.numpy().tolist() == [0, 1, 0, 0, 2]
    assert (int(found.num_negatives), found.max_negatives) == (3, 5)


def test_mixed_candidates_count_the_batch_and_the_draws():
    sampling = NegativeSampling(True, UniformSampler(6, 9, seed=2))
    found = sampling.candidates(POSITIVES, STEP)
    every = [*POSITIVES.numpy(), *draws(sampling)]
    assert dict(zip(found.ids.numpy().tolist(), found.counts.numpy().tolist(), strict=True)) == {
        int(item): every.count(item) for item in every}
    assert found.ids.numpy()[found.positive.numpy()].tolist() == POSITIVES.numpy().tolist()
    assert found.max_negatives == 11


def test_uniform_candidates_are_the_draws_followed_by_positives_that_were_not_drawn():
    sampling = NegativeSampling(False, UniformSampler(6, 9, seed=2))
    found = sampling.candidates(POSITIVES, STEP)
    drawn = draws(sampling)
    negatives = found.ids.numpy()[:int(found.num_negatives)].tolist()
    assert sorted(negatives) == sorted(set(drawn.tolist()))
    assert found.counts.numpy().tolist() == [int((drawn == item).sum()) for item in negatives]
    assert sorted(found.ids.numpy()[len(negatives):].tolist()) == sorted({3, 5, 7} - set(negatives))
    assert found.ids.numpy()[found.positive.numpy()].tolist() == POSITIVES.numpy().tolist()
    assert found.max_negatives == 6


def test_hits_are_the_positives_among_the_negatives():
    found = BatchCandidates(tf.constant([4, 8, 5]), tf.constant([1, 2]), tf.constant([2, 1, 0, 1]))
    assert listed(found.positive_hits()) == [(1, 1), (2, 0), (3, 1)]


@pytest.mark.parametrize(("in_batch", "uniform", "expected"), [
    (True, 0, [0.5, 0.3, 0.2, 0.0]), (False, 6, [0.25, 0.25, 0.25, 0.25]), (True, 6, [0.35, 0.27, 0.23, 0.15])])
def test_probability_of_a_negative(in_batch, uniform, expected):
    """Of 4 pairs and 6 draws over 4 rows, two fifths are distributed as the positives and the rest uniformly."""
    sampling = NegativeSampling(in_batch, UniformSampler(uniform, 4) if uniform else None)
    found = sampling.probability(np.array([0.5, 0.3, 0.2, 0.0]), 4)
    np.testing.assert_allclose(found, expected)


def test_uniform_negatives_are_never_free_rows():
    free, num_rows = np.array([0, 3, 4]), 6
    found = NegativeSampling(False, UniformSampler(200, num_rows, free=free)).candidates(tf.constant([1]), STEP)
    assert set(found.ids.numpy().tolist()) == {1, 2, 5}
    expected = 0.4 * np.array([0.0, 0.5, 0.5, 0.0, 0.0, 0.0]) + 0.6 / 3
    mixed = NegativeSampling(True, UniformSampler(6, num_rows, free=free))
    probability = mixed.probability(np.array([0, 0.5, 0.5, 0, 0, 0]), 4)
    np.testing.assert_allclose(np.delete(probability, free), np.delete(expected, free))


def test_a_chunk_sees_its_own_positions_counted_from_its_first_query():
    entries = positions((0, 4), (2, 1), (2, 3), (5, 0))
    assert entries.within(slice(1, 3)).numpy().tolist() == [[1, 1], [1, 3]]
    assert entries.within(slice(0, 6)).numpy().tolist() == [[0, 4], [2, 1], [2, 3], [5, 0]]
    assert entries.within(slice(3, 5)).numpy().tolist() == []


def test_merged_positions_are_ordered_by_query():
    merged = positions((1, 9), (3, 9)).merged(positions((0, 2), (1, 5), (4, 4)))
    assert listed(merged) == [(0, 2), (1, 9), (1, 5), (3, 9), (4, 4)]


def test_known_positives_leave_out_the_own_positive_and_items_outside_of_the_negatives():
    known = KnownPositives(Interactions.from_pairs(np.array([0, 0, 0, 1, 2]), np.array([3, 5, 8, 7, 5]), 4))
    candidates = in_batch_candidates(tf.constant([5, 3, 7, 5]))  # ids 5, 3, 7
    found = known.positions(tf.constant([0, 1, 2, 3]), candidates)
    assert listed(found) == [(0, 1), (1, 2), (2, 0)]
