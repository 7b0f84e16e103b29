"""The training that both stages share: loop, trainer, checkpoints, schedules, devices and memory plans."""
