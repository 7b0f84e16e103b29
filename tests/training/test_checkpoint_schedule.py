"""Checkpoints by steps and by seconds, never after the last step of an epoch."""

import pytest

from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.training import checkpoint_schedule
from tfrs_pretrain.training.checkpoint_schedule import CheckpointSchedule


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the schedule reads; set its only entry."""
    seconds = [100.0]
    monkeypatch.setattr(checkpoint_schedule.time, "perf_counter", lambda: seconds[0])
    return seconds


@pytest.mark.parametrize(("every", "steps", "expected"), [(3, 10, {3, 6, 9}), (5, 10, {5}), (10, 10, set()),
                                                          (None, 10, set())])
def test_steps(clock, every, steps, expected):
    schedule = CheckpointSchedule(TrainingConfig(checkpoint_every_steps=every, checkpoint_every_seconds=None), steps)
    assert schedule.pause_steps == expected
    assert {step for step in range(1, steps + 1) if schedule.is_due(step)} == expected


def test_seconds_count_from_the_last_checkpoint(clock):
    schedule = CheckpointSchedule(TrainingConfig(checkpoint_every_seconds=60), 10)
    due = []
    for clock[0] in (159.0, 160.0, 161.0):
        due.append(schedule.is_due(4))
    assert due == [False, True, True]
    assert not schedule.is_due(10)  # the last step of an epoch
    schedule.restart_clock()
    clock[0] = 220.0
    assert not schedule.is_due(4)
    clock[0] = 221.0
    assert schedule.is_due(4)
