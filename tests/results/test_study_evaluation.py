"""Alignment of the runs of a study by impression, with few impressions."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.results import study_evaluation
from tfrs_pretrain.results.study_evaluation import align_scores, run_name
from tfrs_pretrain.study import Run, StudiedArm


class FakePredictions:
    """Keys and scores of one run."""

    def __init__(self, keys, scores):
        self.keys, self.scores = np.array(keys), np.array(scores, np.float32)

    def take(self, positions):
        return FakePredictions(self.keys[positions], self.scores[positions])


def align(one, other):
    """Both on their common keys, in the order of the first."""
    common = [key for key in one.keys if key in other.keys]
    return (*(each.take(pd.Index(each.keys).get_indexer(common)) for each in (one, other)), None)


@pytest.fixture
def aligned(monkeypatch):
    """Align runs given as arm -> list of (keys, scores), the baseline being "base"."""

    def aligning(baseline="base", **arms):
        runs = {Path(f"{name}-{seed}"): FakePredictions(*run) for name, by_seed in arms.items()
                for seed, run in enumerate(by_seed)}
        monkeypatch.setattr(study_evaluation, "Predictions", SimpleNamespace(open=runs.__getitem__))
        monkeypatch.setattr(study_evaluation, "align", align)
        studied = [StudiedArm(name, {}, [Run(seed, Path(f"{name}-{seed}"), None, Path("data"))
                                         for seed in range(len(by_seed))]) for name, by_seed in arms.items()]
        return align_scores(SimpleNamespace(arms=studied, baseline=baseline, folder=Path("study")))

    return aligning


def test_scores_follow_the_order_of_the_baselines_impressions(aligned):
    found = aligned(other=[([3, 1, 2], [0.3, 0.1, 0.2])], base=[([1, 2, 3], [0.5, 0.6, 0.7])])
    assert list(found.scores) == ["base 0", "other 0"]  # the baseline first
    assert found.scores["other 0"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert found.scores["other 0"].dtype == np.float32
    assert found.notes == []


def test_only_impressions_of_all_runs_are_compared(aligned):
    found = aligned(base=[([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4]), ([4, 3, 2], [0.4, 0.3, 0.2])],
                    other=[([9, 2, 4], [0.9, 0.5, 0.6])])
    assert found.reference.keys.tolist() == [2, 4]
    assert {name: scores.tolist() for name, scores in found.scores.items()} == {
        "base 0": pytest.approx([0.2, 0.4]), "base 1": pytest.approx([0.2, 0.4]), "other 0": pytest.approx([0.5, 0.6])}
    assert found.notes == ["Compared on the 2 test impressions that every run scored, of 4 that base scored."]


def test_runs_without_a_common_impression_are_refused(aligned):
    with pytest.raises(UserError, match="study 'study': no test impression was scored by all runs"):
        aligned(base=[([1, 2], [0.1, 0.2])], other=[([3], [0.3])])


@pytest.mark.parametrize("arms", [{}, {"other": [([1], [0.1])]}, {"base": [], "other": [([1], [0.1])]}])
def test_a_study_without_a_run_of_the_baseline_is_refused(aligned, arms):
    with pytest.raises(UserError, match="no run of its baseline 'base' finished"):
        aligned(**arms)


def test_a_run_is_named_by_arm_and_seed():
    assert run_name(StudiedArm("warm_start", {}, ()), 17) == "warm_start 17"
