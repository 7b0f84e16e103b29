"""``tfrs-pretrain diagnose``: trains the ranker over an epoch border, with controls, and says what it found."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrs_pretrain.artifacts import MANIFEST, json_digest, write_text
from tfrs_pretrain.config import Config, first_difference, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.diagnosis.controls import BASE, DROPPED, PRETRAINED, WITHOUT_IDS, with_arms
from tfrs_pretrain.diagnosis.gap import GapByFrequency
from tfrs_pretrain.diagnosis.trajectory import Trajectory, follow
from tfrs_pretrain.diagnosis.verdict import AT_BORDER, NONE, SHARP, STEADY, Rises, judge, rises, share_kept
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.build import steps_per_epoch
from tfrs_pretrain.ranking.learning.probe import Probe, training_counts

FILE = "diagnosis.json"
EMBEDDINGS = "embeddings"
# Share of replicates that must agree before an id space is blamed, or a control said to help.
SURE = 0.95


@dataclasses.dataclass(frozen=True)
class Extent:
    """How much work a diagnosis does.

    Attributes:
      epochs: passes over the training impressions, at least 2.
      points: looks at the held-out impressions in each.
      seeds: runs of each control; losses are averaged over them.
      impressions: held-out impressions to look at.
    """

    epochs: int = 2
    points: int = 8
    seeds: int = 1
    impressions: int = 1 << 15


def diagnose(config: Config, dataset: Dataset, output: Path, *, controls: Sequence[str], embeddings: Path | None = None,
             extent: Extent, resampling: Resampling) -> dict[str, Any]:
    """Follows the held-out log loss of the configured ranker across the border of its first epoch.

    Held-out are the validation impressions: test takes no part.

    Args:
      config: of the run; every arm's settings but those of ``ranking`` itself are left out.
      dataset: impressions and, for pretrained rows, pairs.
      output: folder for ``diagnosis.json`` and, where they are not given, the pretrained rows.
      controls: names of ``controls.CHANGES`` to run beside the base.
      embeddings: pretrained rows for that control; None: pretrain them here.
      extent: how much work to do.
      resampling: how to draw users for confidence and intervals.

    Returns:
      the JSON: ``verdict``, its numbers and its confidence, ``blamed`` id spaces, ``stop_after_epochs``, ``controls``
      with their curves, and ``gap``, the log loss of held-out less that of training impressions by frequency.

    Raises:
      UserError: the data is too small or damaged, or the embeddings do not fit.
    """
    if extent.epochs < 2:
        raise UserError(f"--epochs {extent.epochs}: there is no epoch border before the second epoch; take 2 or more")
    started = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    config, names = with_arms(config, extent.epochs), [BASE, *(name for name in controls if name != BASE)]
    rows = _rows(config, dataset, output, embeddings) if PRETRAINED in names else None
    probe = Probe(dataset, "impressions/validation", extent.impressions)
    counts = training_counts(dataset)
    gap = GapByFrequency(probe, Probe(dataset, "impressions/train", extent.impressions), counts)
    runs: dict[str, list[Trajectory]] = {name: [] for name in names}
    examples = steps_per_epoch(config, dataset, 1) * config.ranking.batch_size
    for name in names:
        with progress(f"diagnose: {name}", extent.seeds * extent.epochs * examples, "impressions") as meter:
            for seed in range(config.seed, config.seed + extent.seeds):
                seeded = config.model_copy(update={"seed": seed})
                runs[name].append(follow(seeded, dataset, name, rows if name == PRETRAINED else None, probe, meter,
                                         per_epoch=extent.points, at_border=gap.look if name == BASE else None))
    found = {name: rises(np.mean([run.losses for run in each], axis=0), probe.users, extent.points, resampling)
             for name, each in runs.items()}
    result = conclusion(found, runs[BASE], resampling) | {
        "held_out_impressions": len(probe.labels), "extent": dataclasses.asdict(extent), "seed": config.seed,
        "resampling": dataclasses.asdict(resampling),
        "controls": {name: _described(name, each, found, resampling) for name, each in runs.items()},
        "gap": gap.table(), "seconds": time.monotonic() - started, "dataset_digest": json_digest(dataset.info),
        "ranking": config.ranking.model_dump(mode="json", exclude={"arms"}),
    }
    write_text(output / FILE, json.dumps(result, indent=2) + "\n")
    return result


def conclusion(found: dict[str, Rises], base: Sequence[Trajectory], resampling: Resampling) -> dict[str, Any]:
    """The verdict on the base, whom to blame, and where to stop.

    Args:
      found: of every control.
      base: the base's runs, one a seed.
      resampling: as for ``found``.
    """
    verdict = judge(found[BASE], resampling)
    blamed: list[str] = []
    if verdict.verdict == SHARP:
        blamed = [space for name, space in DROPPED.items()
                  if name in found and share_kept(found[name], found[BASE])[1] >= SURE]
        if not blamed and WITHOUT_IDS in found and share_kept(found[WITHOUT_IDS], found[BASE])[1] >= SURE:
            blamed = list(DROPPED.values())  # either alone is enough to memorise
    ends = np.mean([[point.losses.mean() for point in run.points[run.per_epoch - 1::run.per_epoch]] for run in base],
                   axis=0)
    return {**dataclasses.asdict(verdict), "blamed": blamed, "stop_after_epochs": int(ends.argmin()) + 1,
            "log_loss_at_epoch_ends": ends.tolist()}


def advice(result: dict[str, Any]) -> list[str]:
    """The result in sentences."""
    stop = result["stop_after_epochs"]
    sentences = [f"{result['verdict']} (confidence {result['confidence']:.0%}): held-out log loss "
                 f"{result['before']:.4f} before the border, {result['border']:+.4f} "
                 f"[{result['border_low']:+.4f}, {result['border_high']:+.4f}] right after it, {result['end']:+.4f} at "
                 "the end of the second epoch"]
    if result["verdict"] == SHARP:
        sentences.append(f"blamed: {' and '.join(result['blamed'])} ids" if result["blamed"] else
                         "no id space alone is to blame with certainty")
    if result["verdict"] in (SHARP, STEADY):
        sentences.append(f"stop after epoch {stop}, or pretrain the ids (`tfrs-pretrain pretrain`)")
    if result["verdict"] == NONE:
        sentences.append("more epochs do no harm here" + ("" if stop == 1 else f"; best so far after epoch {stop}"))
    cured = result["controls"].get(PRETRAINED)
    if cured and result["verdict"] == SHARP:
        change = cured["log_loss"][result["extent"]["points"] - 1] - result["log_loss_at_epoch_ends"][0]
        sentences.append(f"pretrained rows leave {cured['share_of_rise']:.0%} of that rise; their log loss "
                         f"after one epoch is {change:+.4f} from that of random rows")
    return sentences


def _described(name: str, each: Sequence[Trajectory], found: dict[str, Rises], resampling: Resampling
               ) -> dict[str, Any]:
    first, verdict = each[0], judge(found[name], resampling)
    described: dict[str, Any] = {
        "verdict": verdict.verdict, "confidence": verdict.confidence, "before": verdict.before,
        "border": verdict.border, "border_low": verdict.border_low, "border_high": verdict.border_high,
        "end": verdict.end,
        "epoch": [point.epoch for point in first.points], "examples": [point.examples for point in first.points],
        "log_loss": np.mean([[point.losses.mean() for point in run.points] for run in each], axis=0).tolist(),
        "train_loss": np.mean([[point.train_loss for point in run.points] for run in each], axis=0).tolist(),
        "auc": [None if None in each_auc else float(np.mean(each_auc))
                for each_auc in zip(*([point.auc for point in run.points] for run in each), strict=True)],
    }
    if name != BASE and found[BASE].border[0] > 0:
        share, sure = share_kept(found[name], found[BASE])
        described |= {"share_of_rise": share, f"replicates_below_{AT_BORDER:g}": sure}
    return described


def _rows(config: Config, dataset: Dataset, output: Path, embeddings: Path | None) -> Embeddings:
    """Pretrained rows: those that were given, those of an earlier diagnosis with the same settings, or new ones."""
    if embeddings is not None:
        return Embeddings.open(embeddings)
    folder = output / EMBEDDINGS
    if not (folder / MANIFEST).is_file():
        pretrain(config, dataset, folder)
        return Embeddings.open(folder)
    found, asked = Embeddings.open(folder), config.resolved()
    stored = parse_config(found.manifest["config"], origin=str(folder)).resolved()
    for section in ("seed", "pretraining"):
        difference = first_difference(stored[section], asked[section], section)
        if difference:
            raise UserError(f"--output {str(output)!r} holds rows that were pretrained with other settings, first in "
                            f"{difference}: choose another folder, or remove {str(folder)!r}")
    return found
