"""The arms of Stage II side by side: who is the baseline, who gained what, and whether it is more than noise."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

# Two-sided 95 % of a normal distribution.
Z95 = 1.96


@dataclasses.dataclass(frozen=True)
class Arm:
    """One arm, read from its ranker manifest.

    Attributes:
      name: as in the configuration.
      settings: its entry of ``ranking.arms``.
      manifest: the ranker's manifest.
      exported: whether its model is the one that is served.
    """

    name: str
    settings: dict[str, Any]
    manifest: dict[str, Any]
    exported: bool

    @property
    def test(self) -> dict[str, Any]:
        return dict(self.manifest["metrics"]["test"])

    @property
    def validation(self) -> dict[str, Any]:
        return dict(self.manifest["metrics"]["validation"])

    @property
    def training_loss(self) -> float | None:
        """Mean cross-entropy against the labels over the last epoch, without the teacher's share."""
        losses = self.manifest["epochs"][-1]["train"]
        return losses.get("hard", losses.get("loss"))

    @property
    def distilled(self) -> bool:
        return bool(self.settings.get("distillation"))

    @property
    def undistilled_settings(self) -> str:
        """The settings without distillation, equal for arms that differ in nothing else."""
        return json.dumps({key: value for key, value in self.settings.items() if key != "distillation"}, sort_keys=True)

    @property
    def scratch(self) -> bool:
        return self.settings.get("transfer") == "scratch"


@dataclasses.dataclass(frozen=True)
class Difference:
    """What an arm gains over another on the test window (None where a metric is undefined).

    Attributes:
      auc: difference of AUC; more is better.
      log_loss: difference of log loss; less is better.
      gauc: difference of GAUC; more is better.
      auc_margin: half-width of the 95 % interval of the AUC difference, see ``auc_margin``.
    """

    auc: float | None
    log_loss: float | None
    gauc: float | None
    auc_margin: float | None

    @property
    def verdict(self) -> str:
        """AUC is "better", "worse", the "same" within the margin, or "undefined"."""
        if self.auc is None or self.auc_margin is None:
            return "undefined"
        if abs(self.auc) <= self.auc_margin:
            return "same"
        return "better" if self.auc > 0 else "worse"


def read_arms(config: dict[str, Any], manifests: dict[str, dict[str, Any]]) -> list[Arm]:
    """Arms in the order of the configuration, the baseline (the first arm from scratch, if there is one) first."""
    arms = [Arm(name, config["ranking"]["arms"][name], manifests[name], name == config["export"]["arm"])
            for name in config["ranking"]["arms"] if name in manifests]
    baseline = next((arm for arm in arms if arm.scratch and not arm.distilled), arms[0])
    return [baseline, *(arm for arm in arms if arm is not baseline)]


def difference(arm: Arm, baseline: Arm) -> Difference:
    """Test metrics of ``arm`` minus those of ``baseline``."""
    margins = [auc_variance(one.test) for one in (arm, baseline)]
    margin = None if None in margins else Z95 * math.sqrt(sum(value for value in margins if value is not None))
    changes = {name: _minus(arm.test.get(name), baseline.test.get(name)) for name in ("auc", "log_loss", "gauc")}
    return Difference(auc_margin=margin, **changes)


def auc_variance(metrics: dict[str, Any]) -> float | None:
    """Sampling variance of an AUC (Hanley and McNeil, Radiology 143, 1982), from the AUC and the counts of labels.

    It takes impressions for independent. The variance of a difference is taken as the sum of both, which is too much
    for two models judged on the same impressions: their errors are correlated.
    """
    auc, positives = metrics.get("auc"), metrics.get("positives", 0)
    negatives = metrics.get("impressions", 0) - positives
    if auc is None or not positives or not negatives:
        return None
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (first - auc**2) + (negatives - 1) * (second - auc**2)
    return float(max(spread, 0) / (positives * negatives))


def slice_rows(arms: list[Arm]) -> list[dict[str, Any]]:
    """Per item-frequency bucket: its name, counts, and test AUC by arm (None where undefined)."""
    by_arm = {arm.name: {entry["slice"]: entry for entry in frequency_slices(arm)} for arm in arms}
    first = next(iter(by_arm.values()), {})
    return [{"slice": name, "impressions": entry["impressions"], "positives": entry["positives"],
             "auc": {arm.name: by_arm[arm.name].get(name, {}).get("auc") for arm in arms}}
            for name, entry in first.items()]


def frequency_slices(arm: Arm) -> list[dict[str, Any]]:
    """Test slices by item frequency, as ``evaluation.slices.frequency_slices`` returns them."""
    return list(arm.manifest.get("slices", {}).get("test", []))


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other
