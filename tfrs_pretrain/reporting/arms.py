"""The arms of Stage II side by side: who is the baseline, who gained what, and whether it is more than noise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.formats import words

# Differences are shown with four digits: what rounds to nothing there is nothing to speak of.
SHOWN = 5e-5
COMPARED = ("auc", "log_loss", "gauc")


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
    def starts_from(self) -> str:
        """How the ID tables are transferred, in words: one for both, or a word for each."""
        tables = {space: (self.settings.get("tables") or {}).get(space, self.settings) for space in ("user", "item")}
        kinds = {space: words(table.get("transfer", "scratch")) for space, table in tables.items()}
        alike = len(set(kinds.values())) == 1
        return kinds["user"] if alike else ", ".join(f"{space}: {kind}" for space, kind in kinds.items())

    @property
    def scratch(self) -> bool:
        return self.starts_from == "scratch"

    @property
    def teacher(self) -> str:
        """Who teaches, in words: the layers of one that learns, or where a fixed one lies."""
        distillation = self.settings.get("distillation")
        if not distillation:
            return "none"
        who = distillation.get("teacher") or "-".join(str(units) for units in distillation["hidden"])
        return f"{who}, weight {distillation['weight']}"


@dataclasses.dataclass(frozen=True)
class Change:
    """A paired difference of a metric with its interval by user (None where undefined)."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the interval, as it is shown, leaves 0 out."""
        return self.low is not None and self.high is not None and not (self.low < SHOWN and self.high > -SHOWN)


@dataclasses.dataclass(frozen=True)
class Difference:
    """What an arm gains over another on the test window.

    Attributes:
      auc, gauc: more is better.
      log_loss: less is better.
    """

    auc: Change = Change()
    log_loss: Change = Change()
    gauc: Change = Change()

    @property
    def verdict(self) -> str:
        """AUC is "better", "worse", the "same" where its interval holds 0 as it is shown, or "undefined"."""
        if self.auc.value is None or self.auc.low is None or self.auc.high is None:
            return "undefined"
        if not self.auc.sure:
            return "same"
        return "better" if self.auc.value > 0 else "worse"


def read_arms(config: dict[str, Any], manifests: dict[str, dict[str, Any]]) -> list[Arm]:
    """Arms in the order of the configuration, the baseline (the first arm from scratch, if there is one) first."""
    arms = [Arm(name, config["ranking"]["arms"][name], manifests[name], name == config["export"]["arm"])
            for name in config["ranking"]["arms"] if name in manifests]
    baseline = next((arm for arm in arms if arm.scratch and not arm.distilled), arms[0])
    return [baseline, *(arm for arm in arms if arm is not baseline)]


def compared_pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Which arm the report compares with which: all with the baseline, and distilled ones with their twins."""
    pairs = [(arm, arms[0]) for arm in arms[1:]]
    return pairs + [pair for pair in distilled_twins(arms) if pair not in pairs]


def distilled_twins(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Each distilled arm with the arm that differs from it by distillation alone, unless that starts from scratch."""
    plain = {arm.undistilled_settings: arm for arm in arms if not arm.distilled}
    twins = [(arm, plain.get(arm.undistilled_settings)) for arm in arms if arm.distilled]
    return [(arm, twin) for arm, twin in twins if twin and not twin.scratch]


def difference(results: Mapping[str, Any], arm: Arm, against: Arm) -> Difference:
    """``arm`` minus ``against`` on the test window, from a run's ``differences``; undefined where they have none."""
    entry = _entry(results, arm, against)
    return Difference(**{name: _change(entry[name]) for name in COMPARED if entry})


def slice_rows(arms: list[Arm], results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per item-frequency bucket: name, counts, test AUC by arm (None where undefined) and change to the baseline."""
    changes = {arm.name: {entry["slice"]: _change(entry["auc"])
                          for entry in _entry(results, arm, arms[0]).get("slices", ())} for arm in arms}
    by_arm = {arm.name: {entry["slice"]: entry for entry in frequency_slices(arm)} for arm in arms}
    first = next(iter(by_arm.values()), {})
    return [{"slice": name, "impressions": entry["impressions"], "positives": entry["positives"],
             "auc": {arm.name: by_arm[arm.name].get(name, {}).get("auc") for arm in arms},
             "change": {arm.name: changes[arm.name].get(name, Change()) for arm in arms}}
            for name, entry in first.items()]


def frequency_slices(arm: Arm) -> list[dict[str, Any]]:
    """Test slices by item frequency, as ``evaluation.slices.frequency_slices`` returns them."""
    return list(arm.manifest.get("slices", {}).get("test", []))


def _entry(results: Mapping[str, Any], arm: Arm, against: Arm) -> Mapping[str, Any]:
    """What a run's results hold of a pair of arms; nothing where they were not compared."""
    return next((entry for entry in results.get("differences", ())
                 if (entry["arm"], entry["against"]) == (arm.name, against.name)), {})


def _change(values: Mapping[str, float | None]) -> Change:
    return Change(values["value"], values["low"], values["high"])
