"""The evaluations of one run, and the extent of a diagnosis."""

from types import SimpleNamespace

import numpy as np
import pytest
from planted import planted_config

from tfrs_pretrain.config import Config
from tfrs_pretrain.diagnosis import run as diagnosis_run
from tfrs_pretrain.diagnosis.controls import PRETRAINED
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


@pytest.mark.parametrize(("split", "labels", "users", "counts"), [
    ("impressions/validation", [0, 0, 0], [0, 1, 2], "0 positive and 3 negative labels of 3 users"),
    ("impressions/validation", [1, 1, 1], [0, 1, 2], "3 positive and 0 negative labels of 3 users"),
    ("impressions/validation", [1, 0, 1], [0, 0, 0], "2 positive and 1 negative labels of 1 users"),
    ("impressions/train", [0, 0, 0], [0, 1, 2], "0 positive and 3 negative labels of 3 users"),
])
def test_no_verdict_without_both_labels_and_two_users(tmp_path, monkeypatch, split, labels, users, counts):
    samples = {name: SimpleNamespace(labels=np.array([1, 0], np.float32), users=np.array([0, 1]))
               for name in ("impressions/train", "impressions/validation")}
    samples[split] = SimpleNamespace(labels=np.array(labels, np.float32), users=np.array(users))
    monkeypatch.setattr(diagnosis_run, "HeldOutSample", lambda dataset, name, max_impressions: samples[name])
    config, output = Config.model_validate(planted_config(seed=1)), tmp_path / "diagnosis"
    message = f"the first 3 impressions of {split} in 'data' have {counts}: no verdict is possible without both labels"
    with pytest.raises(UserError, match=message):
        diagnose(config, SimpleNamespace(folder="data"), output, controls=[PRETRAINED], extent=Extent(),
                 resampling=Resampling(2))
    assert not output.exists()
