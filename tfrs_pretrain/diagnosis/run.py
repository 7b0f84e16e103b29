"""``tfrs-pretrain diagnose``: trains the ranker across an epoch border, with controls, and states what it found."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfrs_pretrain.artifacts import has_manifest, write_text
from tfrs_pretrain.config import Config, first_difference, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.diagnosis.causes import blamed_spaces
from tfrs_pretrain.diagnosis.controls import BASE, PRETRAINED, with_arms
from tfrs_pretrain.diagnosis.diagnosis import ControlResult, Diagnosis, Extent
from tfrs_pretrain.diagnosis.generalization_gap import GapByFrequency
from tfrs_pretrain.diagnosis.loss_curve import LossCurve, record_loss_curve
from tfrs_pretrain.diagnosis.verdict import SHARP, BorderRise, bootstrap_rise, classify, remaining_share
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.json_documents import document_text, json_digest
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.build import steps_per_epoch
from tfrs_pretrain.ranking.learning.heldout_sample import HeldOutSample, training_counts

FILE = "diagnosis.json"
EMBEDDINGS = "embeddings"


def diagnose(config: Config, dataset: Dataset, output: Path, *, controls: Sequence[str], embeddings: Path | None = None,
             extent: Extent, resampling: Resampling) -> Diagnosis:
    """Measure the held-out log loss of the configured ranker across the end of its first epoch.

    The held-out impressions are those of the validation window; the test window is not read.

    Args:
      config: of the run; the settings of its arms are ignored, except the learning rate scale of pretrained rows.
      dataset: impressions and, for pretrained rows, pairs.
      output: folder for ``diagnosis.json`` and, unless ``embeddings`` is given, the pretrained rows.
      controls: names of ``controls.CHANGES`` to run in addition to the base.
      embeddings: pretrained rows for that control; None to pretrain them here.
      extent: amount of work.
      resampling: how to draw users for confidence and intervals.

    Returns:
      what was also written to ``diagnosis.json``.

    Raises:
      UserError: the data is too small or damaged, a sample has one label or one user only, or the embeddings do not
        fit.
    """
    if extent.epochs < 2:
        raise UserError(f"--epochs {extent.epochs}: there is no epoch border before the second epoch; take 2 or more")
    started = time.monotonic()
    heldout, trained = (_sample(dataset, split, extent) for split in ("impressions/validation", "impressions/train"))
    output.mkdir(parents=True, exist_ok=True)
    names = [BASE, *(name for name in controls if name != BASE)]
    pretrained = _pretrained(config, dataset, output, embeddings) if PRETRAINED in names else None
    config = with_arms(config, extent.epochs)
    gap = GapByFrequency(heldout, trained, training_counts(dataset))
    curves = {name: _curves(config, dataset, name, pretrained if name == PRETRAINED else None, heldout, extent,
                            gap if name == BASE else None) for name in names}
    rises = {name: bootstrap_rise(np.mean([curve.losses for curve in runs], axis=0), heldout.users, extent.points,
                                  resampling) for name, runs in curves.items()}
    verdict, ends = classify(rises[BASE], resampling), _losses_at_epoch_ends(curves[BASE])
    diagnosis = Diagnosis(
        verdict=verdict, blamed=blamed_spaces(rises) if verdict.verdict == SHARP else [],
        stop_after_epochs=int(ends.argmin()) + 1, log_loss_at_epoch_ends=ends.tolist(),
        held_out_impressions=len(heldout.labels), extent=extent, seed=config.seed, resampling=resampling,
        controls={name: _result(name, runs, rises, resampling) for name, runs in curves.items()}, gap=gap.rows(),
        seconds=time.monotonic() - started, dataset_digest=json_digest(dataset.info),
        ranking=config.ranking.model_dump(mode="json", exclude={"arms"}))
    write_text(output / FILE, document_text(diagnosis.to_json()))
    return diagnosis


def _sample(dataset: Dataset, split: str, extent: Extent) -> HeldOutSample:
    """Read a sample on which a verdict is possible.

    With one label, the log loss falls as the scores of all impressions move to it: no rise is ever seen. With one user,
    every bootstrap replicate is the same, so the confidence would be 100 %.
    """
    sample = HeldOutSample(dataset, split, extent.impressions)
    count, positives = len(sample.labels), int(sample.labels.sum())
    users = len(np.unique(sample.users))
    if 0 < positives < count and users > 1:
        return sample
    raise UserError(f"the first {count:,} impressions of {split} in {str(dataset.folder)!r} have {positives:,} "
                    f"positive and {count - positives:,} negative labels of {users:,} users: no verdict is possible "
                    "without both labels and two users; widen the window, or raise --impressions")


def _curves(config: Config, dataset: Dataset, name: str, embeddings: Embeddings | None, heldout: HeldOutSample,
            extent: Extent, gap: GapByFrequency | None) -> list[LossCurve]:
    """Run one control once for each seed."""
    examples = steps_per_epoch(config, dataset, 1) * config.ranking.batch_size
    with progress(f"diagnose: {name}", extent.seeds * extent.epochs * examples, "impressions") as meter:
        return [record_loss_curve(config.model_copy(update={"seed": seed}), dataset, name, embeddings, heldout, meter,
                                  per_epoch=extent.points, at_epoch_end=gap.record if gap else None)
                for seed in range(config.seed, config.seed + extent.seeds)]


def _losses_at_epoch_ends(curves: Sequence[LossCurve]) -> np.ndarray:
    """Return float64 [epochs], the mean over seeds of the held-out log loss at the end of each epoch."""
    ends: np.ndarray = np.mean([[point.losses.mean() for point in curve.points[curve.per_epoch - 1::curve.per_epoch]]
                                for curve in curves], axis=0)
    return ends


def _result(name: str, curves: Sequence[LossCurve], rises: Mapping[str, BorderRise], resampling: Resampling
            ) -> ControlResult:
    share, below = None, None
    if name != BASE and rises[BASE].border[0] > 0:
        share, below = remaining_share(rises[name], rises[BASE])
    points = curves[0].points
    return ControlResult(
        classify(rises[name], resampling), [point.epoch for point in points], [point.examples for point in points],
        np.mean([[point.losses.mean() for point in curve.points] for curve in curves], axis=0).tolist(),
        np.mean([[point.train_loss for point in curve.points] for curve in curves], axis=0).tolist(),
        [None if None in aucs else float(np.mean(aucs))
         for aucs in zip(*([point.auc for point in curve.points] for curve in curves), strict=True)], share, below)


def _pretrained(config: Config, dataset: Dataset, output: Path, embeddings: Path | None) -> Embeddings:
    """Open the given rows or those of an earlier diagnosis with the same settings, or pretrain new ones."""
    if embeddings is not None:
        return Embeddings.open(embeddings)
    folder = output / EMBEDDINGS
    if not has_manifest(folder):
        pretrain(config, dataset, folder)
        return Embeddings.open(folder)
    found, requested = Embeddings.open(folder), config.resolved()
    # Only these sections determine the rows. Parsing converts those that an older version stored.
    sections = {name: found.manifest["config"][name] for name in ("seed", "pretraining")}
    stored = parse_config(requested | sections, origin=str(folder)).resolved()
    for section in sections:
        difference = first_difference(stored[section], requested[section], section)
        if difference:
            raise UserError(f"--output {str(output)!r} contains rows that were pretrained with other settings, first "
                            f"in {difference}: choose another folder, or remove {str(folder)!r}")
    return found
