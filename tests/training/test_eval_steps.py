"""Steps of the evaluations within an epoch, and the training loss between them."""

import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.mid_epoch_evals import MidEpochEval, eval_steps


def test_steps_are_evenly_spaced_and_end_with_the_epoch():
    assert eval_steps(15, 4, "") == (3, 6, 9, 15)
    assert eval_steps(15, 15, "") == tuple(range(1, 16))
    assert eval_steps(15, 1, "") == (15,)
    assert eval_steps(15, 0, "") == ()


def test_more_evaluations_than_steps_are_refused():
    with pytest.raises(UserError, match="an epoch has 15 steps, too few for 16 evaluations: lower it"):
        eval_steps(15, 16, "lower it")


def test_means_cover_the_steps_since_the_earlier_state():
    earlier, later = EpochState(2, {"loss": 3.0}), EpochState(6, {"loss": 5.0, "teacher": 8.0})
    assert later.means_since(earlier) == {"loss": 0.5, "teacher": 2.0}
    assert later.means_since(EpochState()) == {"loss": 5 / 6, "teacher": 8 / 6}


def test_an_evaluation_knows_its_epoch_examples_and_loss():
    found = MidEpochEval.at(EpochState(6, {"loss": 5.0}), EpochState(2, {"loss": 3.0}), steps_done=16,
                            steps_per_pass=10, batch_size=64)
    assert found == MidEpochEval(epoch=1.6, examples=1024, train_loss=0.5)
