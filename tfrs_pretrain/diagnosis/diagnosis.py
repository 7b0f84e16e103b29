"""The result of a diagnosis, as stored in ``diagnosis.json``."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfrs_pretrain.diagnosis.generalization_gap import GapRow
from tfrs_pretrain.diagnosis.verdict import AT_BORDER, Verdict
from tfrs_pretrain.evaluation.bootstrap import Resampling

_CURVES = ("epoch", "examples", "log_loss", "train_loss", "auc")
_BELOW = f"replicates_below_{AT_BORDER:g}"


@dataclasses.dataclass(frozen=True)
class Extent:
    """Amount of work of a diagnosis.

    Attributes:
      epochs: passes over the training impressions, at least 2.
      points: evaluations on the held-out impressions in each epoch.
      seeds: runs of each control; losses are averaged over them.
      impressions: number of held-out impressions to evaluate on.
    """

    epochs: int = 2
    points: int = 8
    seeds: int = 1
    impressions: int = 1 << 15


@dataclasses.dataclass(frozen=True)
class ControlResult:
    """The runs of one control.

    Attributes:
      verdict: on their mean losses.
      epoch: passes over the data at each evaluation.
      examples: trained impressions at each evaluation.
      log_loss: held-out log loss in nats at each evaluation, mean over seeds.
      train_loss: training loss since the previous evaluation, mean over seeds.
      auc: held-out AUC, mean over seeds; None where undefined.
      share_of_rise: share of the base's border rise that remains; None for the base, and if the base has no rise.
      replicates_below_half: share of bootstrap replicates with less than AT_BORDER of that rise; None likewise.
    """

    verdict: Verdict
    epoch: list[float]
    examples: list[int]
    log_loss: list[float]
    train_loss: list[float]
    auc: list[float | None]
    share_of_rise: float | None = None
    replicates_below_half: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the verdict's fields and the curves; the shares only if they are defined."""
        shares = {} if self.share_of_rise is None else {
            "share_of_rise": self.share_of_rise, _BELOW: self.replicates_below_half}
        return {**dataclasses.asdict(self.verdict), **{name: getattr(self, name) for name in _CURVES}, **shares}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ControlResult:
        """Inverse of ``to_json``."""
        curves = {name: content[name] for name in _CURVES}
        return cls(_verdict_from_json(content), **curves, share_of_rise=content.get("share_of_rise"),
                   replicates_below_half=content.get(_BELOW))


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Whether the configured ranker suffers from the one-epoch phenomenon, and why.

    Attributes:
      verdict: on the ranker as configured.
      blamed: ID spaces that cause the rise.
      stop_after_epochs: epoch whose end has the lowest held-out log loss.
      log_loss_at_epoch_ends: held-out log loss in nats at the end of each epoch, mean over seeds.
      held_out_impressions: number of impressions that were evaluated.
      extent: amount of work.
      seed: of the first run.
      resampling: how users were drawn.
      controls: name -> result of each control, the base included.
      gap: held-out minus training log loss by frequency.
      seconds: wall-clock time.
      dataset_digest: of the dataset.
      ranking: the ranking section of the configuration without its arms.
    """

    verdict: Verdict
    blamed: list[str]
    stop_after_epochs: int
    log_loss_at_epoch_ends: list[float]
    held_out_impressions: int
    extent: Extent
    seed: int
    resampling: Resampling
    controls: dict[str, ControlResult]
    gap: list[GapRow]
    seconds: float
    dataset_digest: str
    ranking: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``diagnosis.json``."""
        return {**dataclasses.asdict(self.verdict), "blamed": self.blamed,
                "stop_after_epochs": self.stop_after_epochs, "log_loss_at_epoch_ends": self.log_loss_at_epoch_ends,
                "held_out_impressions": self.held_out_impressions, "extent": dataclasses.asdict(self.extent),
                "seed": self.seed, "resampling": dataclasses.asdict(self.resampling),
                "controls": {name: control.to_json() for name, control in self.controls.items()},
                "gap": [dataclasses.asdict(row) for row in self.gap], "seconds": self.seconds,
                "dataset_digest": self.dataset_digest, "ranking": self.ranking}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Diagnosis:
        """Inverse of ``to_json``.

        Raises:
          KeyError: a key is missing.
          TypeError: a value has the wrong structure.
        """
        same = ("log_loss_at_epoch_ends", "held_out_impressions", "seed", "seconds", "dataset_digest", "ranking")
        return cls(verdict=_verdict_from_json(content), blamed=content["blamed"],
                   stop_after_epochs=content["stop_after_epochs"], extent=Extent(**content["extent"]),
                   resampling=Resampling(**content["resampling"]),
                   controls={name: ControlResult.from_json(each) for name, each in content["controls"].items()},
                   gap=[GapRow(**row) for row in content["gap"]], **{name: content[name] for name in same})


def _verdict_from_json(content: dict[str, Any]) -> Verdict:
    return Verdict(**{field.name: content[field.name] for field in dataclasses.fields(Verdict)})
