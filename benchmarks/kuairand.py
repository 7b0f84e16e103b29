"""Stage II on KuaiRand-Pure: two-stage arms against single-stage training and every one-epoch remedy, each one tuned.

    python benchmarks/kuairand.py --data FOLDER [--json FILE] [--seeds 3] [--work FOLDER]

Stage I learns from what users watched before 25 April 2022; Stage II from the clicks of 25 April to 2 May. Each arm's
settings are those with the lowest log loss on 3-4 May (one seed, at most eight trials an arm); the chosen settings are
trained anew with each seed, Stage I included, and judged once on 5-8 May, which takes part in no choice. The best
single-stage arm, which the two-stage arms are compared with, is chosen on 3-4 May too. Outcome columns other than the
click are no inputs of anything. A killed run continues with the trials that are not done.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from beam_pipelines.build_dataset import build
from tfrs_pretrain.artifacts import MANIFEST, json_digest, read_manifest
from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.bootstrap import Resampling
from tfrs_pretrain.evaluation.comparison import Scored, compare
from tfrs_pretrain.evaluation.predictions import Predictions
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.run import train_arm

CONFIG = Path(__file__).with_name("kuairand.yaml")
BEFORE = 20220424  # a day for all of the history, whose own times only keep the order within a user
TRIED, COMPARED = "validation log loss", ("auc", "log_loss", "gauc")

Arm = dict[str, Any]


def single_stage() -> dict[str, list[Arm]]:
    """Arm -> the settings to choose from, for training on impressions alone."""
    rates, epochs = (2e-3, 5e-3, 1e-2), (2, 3)
    return {
        "scratch": [{"table_learning_rate": rate, "schedule": schedule}
                    for rate in (*rates, 2e-2) for schedule in ("constant", "linear")],
        "l2_and_decay": [{"table_learning_rate": rate, "schedule": "linear", "epochs": epoch, "embedding_l2": l2}
                         for rate in (1e-2, 2e-2) for epoch in (1, 2) for l2 in (1e-4, 1e-3)],
        "adamar": [{"table_learning_rate": rate, "interval_decay": decay, "epochs": epoch}
                   for rate in (5e-3, 1e-2) for decay in (1e-3, 3e-3) for epoch in (1, 2)],
        "meda": [{"table_learning_rate": rate, "epochs": epoch, "meda": {}}
                 for rate in (*rates, 2e-2) for epoch in epochs],
        "meda_continual": [{"table_learning_rate": rate, "epochs": epoch, "meda": {"variant": "continual", "chunks": 2}}
                           for rate in (*rates, 2e-2) for epoch in epochs],
        "early_stopping": [{"table_learning_rate": rate, "schedule": schedule, "epochs": 4, "early_stopping": {}}
                           for rate in (*rates, 2e-2) for schedule in ("constant", "linear")],
    }


def two_stage() -> dict[str, list[Arm]]:
    """The same for arms that start at Stage I's rows."""
    warm = {"transfer": "warm_start", "pretrained_learning_rate_scale": 1.0}
    rates = [{"table_learning_rate": rate, "schedule": schedule}
             for rate in (2e-3, 5e-3, 1e-2, 2e-2) for schedule in ("constant", "linear")]
    teachers = [{"weight": weight, "warmup_steps": steps, "hidden": [512, 256]}
                for weight in (0.1, 0.3) for steps in (0, 130)]
    return {
        "frozen": [{**rate, "transfer": "frozen", "fresh_dim": 64} for rate in rates],
        "warm_start": [{**warm, **rate} for rate in rates],
        "warm_start_distilled": [{**warm, "table_learning_rate": rate, "distillation": teacher}
                                 for rate in (5e-3, 1e-2) for teacher in teachers],
    }


class Study:
    """The arms on one dataset.

    Args:
      data: folder of KuaiRand-Pure's four Parquet files.
      work: folder for logs, dataset, rows and rankers.
    """

    def __init__(self, data: Path, work: Path):
        self._work = work
        self._tree = yaml.safe_load(CONFIG.read_text())
        if not (work / "dataset" / "dataset_info.json").is_file():
            write_logs(data, work / "logs")
            build(self._config(), work / "logs", work / "dataset", overwrite=True)
        self.dataset = Dataset.open(work / "dataset")

    def choose(self, arm: str, candidates: list[Arm]) -> tuple[Arm, list[dict[str, Any]]]:
        """The candidate with the lowest validation log loss, and what each one reached."""
        trials = []
        for settings in candidates:
            manifest = self.run(arm, settings, self._tree["seed"], test=False)
            trials.append({"settings": settings, **{
                name: manifest["metrics"]["validation"][name] for name in ("auc", "log_loss")}})
        return candidates[int(np.argmin([trial["log_loss"] for trial in trials]))], trials

    def run(self, arm: str, settings: Arm, seed: int, *, test: bool) -> dict[str, Any]:
        """The manifest of one ranker, trained now or earlier."""
        folder = self.folder(arm, settings, seed, test=test)
        if (folder / MANIFEST).is_file():
            return read_manifest(folder, "ranker")
        rows = self._rows(seed) if settings.get("transfer", "scratch") != "scratch" else None
        return train_arm(self._config(seed, {arm: settings}), self.dataset, arm, folder, embeddings=rows, test=test)

    def folder(self, arm: str, settings: Arm, seed: int, *, test: bool) -> Path:
        """Where that ranker lies."""
        return self._work / ("tested" if test else "tried") / f"{arm}-{json_digest(settings)[:12]}-{seed}"

    def _rows(self, seed: int) -> Path:
        folder = self._work / f"rows-{seed}"
        if not (folder / MANIFEST).is_file():
            pretrain(self._config(seed), self.dataset, folder)
        return folder

    def _config(self, seed: int | None = None, arms: dict[str, Arm] | None = None) -> Config:
        tree = copy.deepcopy(self._tree)
        if seed is not None:
            tree["seed"] = seed
        if arms is not None:
            tree["ranking"]["arms"], tree["export"] = arms, {"arm": next(iter(arms))}
        return parse_config(tree, origin=str(CONFIG))


def write_logs(data: Path, output: Path) -> None:
    """The four input tables of the Beam jobs.

    Raises:
      UserError: a file of the data is not there.
    """
    names = ("history", "impressions", "items", "users")
    missing = [name for name in names if not (data / f"{name}.parquet").is_file()]
    if missing:
        raise UserError(f"--data {str(data)!r}: expected {', '.join(names)} as .parquet files, found no "
                        f"{missing[0]}.parquet")
    output.mkdir(parents=True, exist_ok=True)
    history = pd.read_parquet(data / "history.parquet").query("long_watch == 1")[["user_id", "item_id", "timestamp"]]
    history.assign(date=BEFORE).to_parquet(output / "engagements.parquet", index=False)
    impressions = pd.read_parquet(data / "impressions.parquet")
    impressions = impressions[["user_id", "item_id", "timestamp", "date", "hourmin", "tab", "is_click"]]
    impressions.assign(hour=impressions["hourmin"].astype("int64") // 100).drop(columns="hourmin").to_parquet(
        output / "impressions.parquet", index=False)
    items = pd.read_parquet(data / "items.parquet")
    items.assign(log_duration=np.log1p(items["video_duration"].astype("float64") / 1e3).astype("float32"),
                 music_type=items["music_type"].fillna(-1).astype("int64")).to_parquet(
        output / "items.parquet", index=False)
    users = pd.read_parquet(data / "users.parquet")
    codes = {name: users[name].fillna(-1).astype("int64") for name in users if name.startswith("onehot_feat")}
    users.assign(**codes).to_parquet(output / "users.parquet", index=False)


def compare_arms(study: Study, chosen: dict[str, Arm], baseline: str, seeds: range) -> dict[str, Any]:
    """Per arm the mean test metrics over seeds and, for each seed, the paired difference to the baseline by user."""
    differences: dict[str, dict[str, list[dict[str, Any]]]] = {
        arm: {metric: [] for metric in COMPARED} for arm in chosen if arm != baseline}
    values: dict[str, dict[str, list[float]]] = {arm: {metric: [] for metric in COMPARED} for arm in chosen}
    for seed in seeds:
        opened = {arm: Predictions.open(study.folder(arm, settings, seed, test=True), "test")
                  for arm, settings in chosen.items()}
        first = opened[baseline]
        scored = Scored(first.labels, first.users, None, {arm: one.scores for arm, one in opened.items()})
        comparison = compare(scored, [], Resampling(replicates=500))
        for arm in chosen:
            found = comparison.metrics(arm)
            for metric in COMPARED:
                values[arm][metric].append(found[metric]["value"])
                if arm != baseline:
                    differences[arm][metric].append(comparison.difference(arm, baseline)[metric])
    return {arm: {"test": {metric: {"mean": float(np.mean(each)), "seeds": each}
                           for metric, each in values[arm].items()},
                  "difference": {metric: {"mean": float(np.mean([one["value"] for one in each])), "seeds": each}
                                 for metric, each in differences.get(arm, {}).items()}} for arm in chosen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of KuaiRand-Pure's Parquet files")
    parser.add_argument("--work", type=Path, default=Path("runs/kuairand"), help="folder for what is made on the way")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    start = time.perf_counter()
    study, seeds = Study(options.data, options.work), range(1, options.seeds + 1)
    chosen: dict[str, Arm] = {}
    trials: dict[str, list[dict[str, Any]]] = {}
    for arm, candidates in {**single_stage(), **two_stage()}.items():
        chosen[arm], trials[arm] = study.choose(arm, candidates)
    best = {arm: min(trial["log_loss"] for trial in trials[arm]) for arm in chosen}
    baseline = min(single_stage(), key=best.__getitem__)
    for arm, settings in chosen.items():
        for seed in seeds:
            study.run(arm, settings, seed, test=True)
    result = {"baseline": baseline, "seeds": options.seeds, "minutes": (time.perf_counter() - start) / 60,
              "chosen": chosen, "trials": trials, "arms": compare_arms(study, chosen, baseline, seeds)}
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def show(result: dict[str, Any]) -> None:
    print(f"\nKuaiRand-Pure, clicks of 5-8 May, {result['seeds']} seeds, chosen on 3-4 May; differences to "
          f"{result['baseline']}, the best single-stage arm there, with 95 % intervals by user for each seed")
    print(f"{'arm':22}{TRIED:>21}{'AUC':>9}{'log loss':>10}{'GAUC':>9}   difference in AUC and log loss")
    for arm, found in result["arms"].items():
        tried = min(trial["log_loss"] for trial in result["trials"][arm])
        test = "".join(f"{found['test'][metric]['mean']:>{width}.4f}"
                       for metric, width in (("auc", 9), ("log_loss", 10), ("gauc", 9)))
        print(f"{arm:22}{tried:21.4f}{test}   " + " | ".join(_difference(found["difference"][metric])
                                                              for metric in ("auc", "log_loss")
                                                              if metric in found["difference"]))
    print(f"{result['minutes']:.0f} minutes, trials and tests that were not done before\n{result['chosen']}")


def _difference(difference: dict[str, Any]) -> str:
    ends = ", ".join(f"[{one['low']:+.4f}, {one['high']:+.4f}]" for one in difference["seeds"])
    return f"{difference['mean']:+.4f} {ends}"


if __name__ == "__main__":
    main()
