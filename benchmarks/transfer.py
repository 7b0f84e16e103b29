"""Compare settings of transfer on generated logs, each difficult for pretraining in one respect, and on datasets.

    python benchmarks/transfer.py --output FOLDER [--regime NAME ...] [--dataset FOLDER ...] [--seed 1 ...]
                                  [--json FILE]

For every log and seed: Stage I at each temperature, then every arm of ARMS. The settings that are not named are the
defaults, with smaller batches for the smaller logs. "best" is the arm with the lowest validation log loss, averaged
over the seeds; the arms of REPORTED and it are scored on test, once. Differences to scratch are paired by seed, with
95 % intervals from Student's t. A generated log is drawn anew for each seed; a dataset is the same for all.

Finished rankers remain in the output folder and are not trained again.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from beam_pipelines.build_dataset import build
from tfrs_pretrain.artifact_names import DATASET_INFO, MANIFEST
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.experiments.logs.regimes import REGIMES, write_regime_logs
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.predict import predict
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.ranking.split_metrics import split_metrics

CONFIG = Path(__file__).parent.parent / "experiments" / "configs" / "transfer.yaml"
DEFAULT, SOFTER = 0.07, 0.2  # temperatures of Stage I
EVIDENCE, COLD = {"evidence": 10.0}, {"cold_rows": "features"}
# arm -> temperature of Stage I, None without pretrained rows; settings of the transfer
ARMS: dict[str, tuple[float | None, dict[str, Any]]] = {
    "scratch": (None, {}),
    "default": (DEFAULT, {}),
    "evidence": (DEFAULT, EVIDENCE),
    "cold": (DEFAULT, COLD),
    "evidence_and_cold": (DEFAULT, EVIDENCE | COLD),
    "rms": (DEFAULT, {"pretrained_rms": 0.3}),
    "full_rate": (DEFAULT, {"pretrained_learning_rate_scale": 1.0}),
    "fresh": (DEFAULT, {"fresh_dim": 16}),
    "temperature": (SOFTER, {}),
    "temperature_and_evidence": (SOFTER, EVIDENCE),
}
REPORTED = ("scratch", "default", "evidence_and_cold")
METRICS = ("auc", "log_loss")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare settings of transfer.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--regime", nargs="*", choices=list(REGIMES), default=list(REGIMES))
    parser.add_argument("--dataset", nargs="*", type=Path, default=[], help="finished datasets; the folder is the name")
    parser.add_argument("--seed", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logs: dict[str, Path | None] = dict.fromkeys(options.regime) | {folder.name: folder for folder in options.dataset}
    results = {name: compare(name, folder, options.seed, options.output) for name, folder in logs.items()}
    content = {"seeds": options.seed, "cpu": platform.processor(), "logs": results}
    print(json.dumps(content, indent=1))
    if options.json:
        options.json.write_text(json.dumps(content, indent=1) + "\n")


def compare(name: str, folder: Path | None, seeds: Sequence[int], output: Path) -> dict[str, Any]:
    """Train all arms on one log with every seed, and score the reported ones on test."""
    datasets = {seed: Dataset.open(folder or generated(name, seed, output)) for seed in seeds}
    rankers = {arm: [trained(datasets[seed], arm, seed, output / "trained" / f"{name}-{seed}") for seed in seeds]
               for arm in ARMS}
    validation = {arm: [json.loads((ranker / MANIFEST).read_text())["metrics"]["validation"] for ranker in found]
                  for arm, found in rankers.items()}
    best = min(ARMS, key=lambda arm: np.mean([metrics["log_loss"] for metrics in validation[arm]]))
    test = {arm: [tested(ranker, datasets[seed]) for ranker, seed in zip(rankers[arm], seeds, strict=True)]
            for arm in dict.fromkeys((*REPORTED, best))}
    return {"best": best, "validation": {arm: means(found) for arm, found in validation.items()},
            "test": {arm: means(found) for arm, found in test.items()},
            "test_minus_scratch": {arm: difference(found, test["scratch"]) for arm, found in test.items()
                                   if arm != "scratch"}}


def generated(name: str, seed: int, output: Path) -> Path:
    """Return the dataset of a generated log."""
    folder = output / "logs" / f"{name}-{seed}"
    if not (folder / "dataset" / DATASET_INFO).exists():
        write_regime_logs(folder / "raw", REGIMES[name], seed=seed, overwrite=True)
        build(Config.model_validate(yaml.safe_load(CONFIG.read_text())), folder / "raw", folder / "dataset",
              overwrite=True)
    return folder / "dataset"


def trained(dataset: Dataset, arm: str, seed: int, folder: Path) -> Path:
    """Return the folder of an arm's ranker, trained without a look at test."""
    temperature, settings = ARMS[arm]
    tree = {**dataset.info["config"], "seed": seed}
    transfer: dict[str, Any] = {"kind": "warm_start", **settings} if temperature else {"kind": "scratch"}
    objective = {"kind": "softmax", "temperature": temperature or DEFAULT}
    tree["pretraining"] = tree["pretraining"] | {"objective": objective}
    tree["ranking"] = tree["ranking"] | {"arms": {arm: {"transfer": transfer}}}
    config = Config.model_validate({**tree, "export": {"arm": arm}})
    rows = folder / f"embeddings-{temperature}"
    if temperature and not (rows / MANIFEST).exists():
        pretrain(config, dataset, rows, overwrite=True)
    ranker = folder / arm
    if not (ranker / MANIFEST).exists():
        train_arm(config, dataset, arm, ranker, embeddings=rows, overwrite=True, test=False)
    return ranker


def tested(folder: Path, dataset: Dataset) -> dict[str, float]:
    """Return the metrics of a ranker on test."""
    return split_metrics(predict(load_ranker(folder, dataset), dataset, IMPRESSION_SPLITS[2]), dataset).metrics


def means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the seeds."""
    return {name: float(np.mean([metrics[name] for metrics in found])) for name in METRICS}


def difference(found: Sequence[Mapping[str, float]], scratch: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return the mean difference of each metric, and half the width of its interval (None with one seed)."""
    result = {}
    for name in METRICS:
        values = np.array([one[name] - other[name] for one, other in zip(found, scratch, strict=True)])
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else None
        result[name] = {"mean": float(values.mean()), "half_width": None if half is None else float(half)}
    return result


if __name__ == "__main__":
    main()
