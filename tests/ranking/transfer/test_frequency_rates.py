"""FALR: frequencies counted from the training impressions, and the step of each row, against naive twins."""

import math
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig, Config
from tfrs_pretrain.data.impressions import evaluation_batches
from tfrs_pretrain.ranking.build import build_learner
from tfrs_pretrain.ranking.learning.losses import MAIN_LABEL_LOSS
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.transfer.evidence import evidence_scales
from tfrs_pretrain.ranking.transfer.frequency_rates import column_frequencies, frequency_scales, table_scales


@pytest.fixture(scope="module")
def inputs(planted):
    ranking = Config.model_validate(planted.dataset.info["config"]).ranking
    return Inputs.of(planted.dataset, ranking, privileged=False)


@pytest.fixture(scope="module")
def frequencies(planted, inputs):
    return column_frequencies(planted.dataset, inputs.rows)


def test_the_factor_is_the_share_of_the_largest_logarithm():
    expected = [math.log(count + 1) / math.log(1000) for count in (0, 1, 9, 999)]
    np.testing.assert_allclose(frequency_scales(np.array([0, 1, 9, 999])), expected, rtol=1e-6)
    assert frequency_scales(np.zeros(3, np.int64)).tolist() == [0, 0, 0]


def test_frequencies_are_those_of_the_training_impressions(planted, inputs, frequencies):
    counted = {row.column: Counter() for row in inputs.rows}
    batches = evaluation_batches(planted.dataset, "impressions/train", batch_size=100)
    for batch in batches.as_numpy_iterator():
        for column, counts in counted.items():
            counts.update(value for value in batch[column].reshape(-1).tolist() if value >= 0)
    assert {column: {row: count for row, count in enumerate(values) if count}
            for column, values in frequencies.items()} == counted
    assert len(frequencies["user"]) == planted.dataset.num_rows("user")


def test_a_table_of_two_columns_counts_both(inputs):
    item = next(row for row in inputs.rows if row.name == "item")
    both = [item, type(item)("history", "history", "item", "item", 3)]
    scales = table_scales(both, {"item": np.array([0, 2, 0]), "history": np.array([1, 2, 0])})
    np.testing.assert_allclose(scales["item"], [math.log(2) / math.log(5), 1, 0], rtol=1e-6)


@pytest.mark.parametrize("transfer", ["scratch", "warm_start"])
def test_rows_of_a_step_move_by_their_share_of_the_rate(planted, config, frequencies, transfer):
    """The first step of Adagrad has the size of the learning rate."""
    ranking = config.ranking.model_copy(update={"table_optimizer": "adagrad", "table_learning_rate": 0.5})
    arm = ArmConfig(transfer=transfer)
    learner = build_learner(ranking, planted.dataset, arm, None, hidden=(4,), seed=1, privileged=False,
                            frequencies=frequencies)
    batch = next(evaluation_batches(planted.dataset, "impressions/train", batch_size=64).as_numpy_iterator())
    before = learner.ranker.tables["item"].numpy()
    tf.function(learner.train_step, autograph=False)(batch, lambda logits: MAIN_LABEL_LOSS(batch, logits))
    moved = np.abs(learner.ranker.tables["item"].numpy() - before)
    most = max(frequencies["item"])
    own = evidence_scales(planted.dataset.vocabulary("item"), 0.3, 10.0) if transfer == "warm_start" else np.ones(1000)
    for row in set(batch["item"].tolist()):
        expected = 0.5 * own[row] * math.log(frequencies["item"][row] + 1) / math.log(most + 1)
        np.testing.assert_allclose(moved[row][moved[row] > 0], expected, rtol=1e-2)
    assert (moved > 0).any()
