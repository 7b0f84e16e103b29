"""The gap by frequency against losses that are known for each impression."""

import numpy as np
import pytest

from tfrs_pretrain.diagnosis.generalization_gap import GapByFrequency


class Sample:
    """Stands for a HeldOutSample: its "ranker" is the array of losses."""

    def __init__(self, users, side):
        self._users, self._side = np.array(users), side

    def counts(self, training):
        return {"user": training["user"][self._users]}

    def losses(self, ranker):
        return np.array(ranker[self._side]), None


def test_the_gap_is_the_difference_of_mean_losses_in_a_frequency_bucket():
    counts = {"user": np.array([0, 3, 200])}
    gap = GapByFrequency(Sample([0, 1, 1, 2], "heldout"), Sample([1, 2, 2], "trained"), counts)
    gap.record(1, {"heldout": [1.0, 0.5, 0.7, 0.2], "trained": [0.4, 0.1, 0.3]})
    gap.record(2, {"heldout": [1.2, 0.9, 0.9, 0.2], "trained": [0.2, 0.1, 0.1]})
    rows = {(row.epoch, row.training_impressions): row for row in gap.rows()}
    assert [name for _, name in rows] == 2 * ["0", "1-4", "5-19", "20-99", "100+"]
    rare = rows[1, "1-4"]
    assert (rare.ids, rare.heldout_impressions, rare.trained_impressions) == ("user", 2, 1)
    assert (rare.heldout_log_loss, rare.trained_log_loss, rare.gap) == pytest.approx((0.6, 0.4, 0.2))
    assert rows[2, "1-4"].gap == pytest.approx(0.7)
    assert rows[1, "100+"].gap == pytest.approx(0.0)
    unseen = rows[1, "0"]
    assert (unseen.heldout_log_loss, unseen.trained_log_loss, unseen.gap) == (1.0, None, None)


def test_records_of_one_epoch_are_averaged_over_seeds():
    gap = GapByFrequency(Sample([0], "heldout"), Sample([0], "trained"), {"user": np.array([7])})
    gap.record(1, {"heldout": [0.4], "trained": [0.1]})
    gap.record(1, {"heldout": [0.8], "trained": [0.3]})
    [row] = [row for row in gap.rows() if row.heldout_impressions]
    assert (row.training_impressions, row.heldout_log_loss, row.trained_log_loss) == ("5-19", pytest.approx(0.6),
                                                                                      pytest.approx(0.2))
