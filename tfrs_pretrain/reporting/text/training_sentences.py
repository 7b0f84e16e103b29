"""Sentences about training: the one-epoch phenomenon, Stage I's held-out loss, and failed runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.text.curves import mean_curve, stage_one_label
from tfrs_pretrain.reporting.text.formats import capitalized, number, signed, spaced

SMALLEST_RISE = 5e-4  # of validation log loss that is reported as overfitting; it shows with four digits

Epochs = Sequence[Mapping[str, Any]]


def one_epoch_sentence(results: Mapping[str, Any]) -> str | None:
    """Describe whether the longest arm from scratch overfits; None if no such arm has two epochs."""
    scratch = {name: arm for name, arm in results["arms"].items() if arm.get("kind") == "scratch"}
    epochs = {name: max(run["epochs"] for run in arm["runs"]) for name, arm in scratch.items()}
    longest = max(epochs, key=epochs.__getitem__, default=None)
    if longest is None or epochs[longest] < 2:
        return None
    runs = scratch[longest]["runs"]
    curve, per_epoch = mean_curve(runs, "log_loss"), runs[0]["examples_per_epoch"]
    (seen, lowest), (end, last) = min(curve, key=lambda point: point[1]), curve[-1]
    name, at = capitalized(spaced(longest)), f"{number(lowest)} after {_num_epochs(seen / per_epoch)}"
    if last - lowest < SMALLEST_RISE:
        return f"{name} shows no one-epoch effect: validation log loss is lowest at the end, {at}."
    return (f"{name} overfits: validation log loss is lowest at {at} and {number(last)} ({signed(last - lowest)}) "
            f"after {_num_epochs(end / per_epoch)}.")


def stage_one_sentences(stage_one: Mapping[str, Any]) -> list[str]:
    """Describe whether Stage I's held-out loss fell in every epoch; empty without Stage I.

    Args:
      stage_one: ``stage_one`` of the results.
    """
    settings = stage_one.get("settings", [])
    if len(settings) <= 1:
        return [_single_setting(setting["epochs"]) for setting in settings]
    trained = [setting for setting in settings if len(setting["epochs"]) > 1]
    exceptions = [stage_one_label(setting) for setting in trained if _rises(setting["epochs"])]
    which = f"{len(trained) - len(exceptions)} of " if exceptions else "all "
    suffix = f"; exceptions: {'; '.join(exceptions)}" if exceptions else ""
    return [f"Stage I's held-out loss fell in every epoch of {which}{len(trained)} trained settings{suffix}."]


def failure_sentences(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the failed runs with their reasons; empty without failures."""
    failures = [(name, failure) for name, arm in arms.items() for failure in arm["failures"]]
    if not failures:
        return []
    listed = "; ".join(f"{spaced(name)}, seed {failure['seed']}: {failure['reason']}" for name, failure in failures)
    return [f"{len(failures)} run{'s' if len(failures) > 1 else ''} did not finish ({listed})."]


def _num_epochs(passes: float) -> str:
    """Format 1 epoch, 1.3 epochs."""
    text = f"{passes:.1f}".removesuffix(".0")
    return f"{text} epoch{'' if text == '1' else 's'}"


def _single_setting(epochs: Epochs) -> str:
    losses = [epoch["heldout_loss"] for epoch in epochs]
    if len(losses) < 2:
        return "Stage I did not train: the rows are random."
    summary = f"{number(losses[0], 3)} before training, {number(losses[-1], 3)} at the end"
    rises = _rises(epochs)
    if not rises:
        trained = len(losses) - 1
        every = "its one epoch" if trained == 1 else f"each of {trained} epochs"
        return f"Stage I's held-out loss fell in {every} ({summary})."
    lowest = min(epochs, key=lambda epoch: epoch["heldout_loss"])
    return (f"Stage I's held-out loss did not fall in epoch {', '.join(map(str, rises))} ({summary}; lowest "
            f"{number(lowest['heldout_loss'], 3)} after epoch {lowest['epoch']}).")


def _rises(epochs: Epochs) -> list[int]:
    """Return the epochs in which the held-out loss did not fall."""
    return [later["epoch"] for earlier, later in itertools.pairwise(epochs)
            if later["heldout_loss"] >= earlier["heldout_loss"]]
