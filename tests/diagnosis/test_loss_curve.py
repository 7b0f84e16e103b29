"""The evaluations of one run, and the extent of a diagnosis."""

import numpy as np
import pytest
from planted import planted_config

from tfrs_pretrain.config import Config
from tfrs_pretrain.diagnosis.diagnosis import Extent
from tfrs_pretrain.diagnosis.loss_curve import EvalPoint, LossCurve
from tfrs_pretrain.diagnosis.run import diagnose
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling


def point(epoch, losses):
    return EvalPoint(epoch=epoch, examples=int(epoch * 100), train_loss=0.5, auc=None, losses=np.array(losses))


def test_losses_have_one_row_for_each_evaluation():
    curve = LossCurve((point(0.5, [0.6, 0.7, 0.8]), point(1.0, [0.5, 0.6, 0.9])), per_epoch=2)
    np.testing.assert_array_equal(curve.losses, [[0.6, 0.7, 0.8], [0.5, 0.6, 0.9]])


def test_a_single_epoch_is_refused_before_anything_is_written(tmp_path):
    config, output = Config.model_validate(planted_config(seed=1)), tmp_path / "diagnosis"
    with pytest.raises(UserError, match="there is no epoch border before the second epoch; take 2 or more"):
        diagnose(config, None, output, controls=[], extent=Extent(epochs=1), resampling=Resampling(2))
    assert not output.exists()
