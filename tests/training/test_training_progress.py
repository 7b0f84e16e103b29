"""The progress of a run survives its JSON, and an epoch's end resets what belongs to the epoch."""

import json

from tfrs_pretrain.training.epoch_state import EpochState
from tfrs_pretrain.training.training_progress import TrainingProgress


def test_json_and_back():
    run = TrainingProgress([{"epoch": 2}], EpochState(5, {"loss": 2.5}), [{"steps": 3}], EpochState(3, {"loss": 1.0}),
                           epoch_seconds=1.5, seconds=9.0)
    assert TrainingProgress.from_json(json.loads(json.dumps(run.to_json()))) == run
    assert TrainingProgress.from_json(TrainingProgress().to_json()) == TrainingProgress()


def test_epochs_are_numbered_after_the_last_record():
    assert TrainingProgress().epoch == 1
    assert TrainingProgress([{"epoch": 0}]).epoch == 1  # only the initial evaluation
    assert TrainingProgress([{"epoch": 0}, {"epoch": 1}, {"epoch": 2}]).epoch == 3


def test_the_end_of_an_epoch_keeps_the_runs_time_and_evaluations():
    run = TrainingProgress([], EpochState(5, {"loss": 2.5}), [{"steps": 3}], EpochState(3), epoch_seconds=1.5,
                           seconds=9.0)
    run.finish_epoch({"epoch": 1})
    assert run == TrainingProgress([{"epoch": 1}], curve=[{"steps": 3}], seconds=9.0)
