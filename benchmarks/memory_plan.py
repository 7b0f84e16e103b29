"""Measures memory plans: the peak that each stage plans for its process, over the peak of a real run.

Planted logs of some users and few items; each shape is a run in a process of its own, whose peak is its resident
memory as the system reports it at its end. The largest table has the given number of users.

    python benchmarks/memory_plan.py --json memory_plan.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tfrs_pretrain.config import load_config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.pretraining.memory_plan import PretrainingMemoryPlan
from tfrs_pretrain.ranking.arm_memory_plan import ArmPlan
from tfrs_pretrain.training.devices import local_devices
from tfrs_pretrain.training.memory_check import process_peak
from tfrs_pretrain.training.table_placement import place_tables

ROOT = Path(__file__).resolve().parents[1]
CONFIG = str(ROOT / "experiments" / "configs" / "planted.yaml")
USERS, ITEMS = 500_000, 16
# Stage, name -> settings.
SHAPES = {
    ("pretrain", "64 columns, lazy Adam"): ["pretraining.dim=64"],
    ("pretrain", "64 columns, lazy Adam, batches of 8,192"): ["pretraining.dim=64", "pretraining.batch_size=8192"],
    ("pretrain", "128 columns, row-wise Adagrad"): ["pretraining.dim=128", "pretraining.optimizer=rowwise_adagrad"],
    ("pretrain", "16 columns, lazy Adam"): ["pretraining.dim=16"],
    ("train-ranker", "64 columns, lazy Adam"): ["ranking.id_dim=64", "ranking.table_optimizer=lazy_adam"],
    ("train-ranker", "128 columns, row-wise Adagrad"): ["ranking.id_dim=128"],
    ("train-ranker", "16 columns, lazy Adam"): ["ranking.id_dim=16", "ranking.table_optimizer=lazy_adam"],
}
COMMON = ["pretraining.epochs=1", "ranking.epochs=1", "ranking.arms={arm: {transfer: scratch}}", "export.arm=arm"]


def settings_of(shape: list[str]) -> list[str]:
    """Returns the options of a shape."""
    return [word for setting in (*COMMON, *shape) for word in ("--set", setting)]


def run(arguments: list[str]) -> int:
    """Runs a command and returns the peak of its resident memory in bytes."""
    process = subprocess.Popen([sys.executable, "-c", "from tfrs_pretrain.cli import app; app()", *arguments],
                               env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return int(usage.ru_maxrss) * 1024


def planned_peak(stage: str, dataset: str, shape: list[str]) -> int:
    """Returns the bytes that a stage's plan states as the peak of its process."""
    config, opened = load_config(CONFIG, [*COMMON, *shape]), Dataset.open(Path(dataset))
    plan = PretrainingMemoryPlan(config, opened) if stage == "pretrain" else ArmPlan(config, opened, "arm")
    devices = local_devices(config.training)
    place_tables(plan, config.training, devices)
    return process_peak(plan, devices)


def in_own_process(stage: str, dataset: Path, shape: list[str]) -> int:
    """Returns ``planned_peak`` of a new process, as a run would plan."""
    done = subprocess.run([sys.executable, __file__, "--plan", json.dumps([stage, str(dataset), shape])], check=True,
                          capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    return int(done.stdout.split()[-1])


def build(folder: Path, users: int) -> Path:
    """Writes logs and builds their dataset."""
    write_planted_logs(folder / "logs", users=users, items=ITEMS, engagements=3 * users, impressions=users // 8)
    run(["dataset", "--config", CONFIG, "--raw", str(folder / "logs"), "--output", str(folder / "dataset")])
    return folder / "dataset"


def measured(folder: Path, dataset: Path, only: str) -> dict[str, float]:
    """Returns planned and measured bytes of each shape, and the ratio that is farthest from 1."""
    figures: dict[str, float] = {}
    for (stage, name), shape in SHAPES.items():
        if only not in f"{stage}, {name}":
            continue
        planned = in_own_process(stage, dataset, shape)
        arm = ["--arm", "arm"] if stage == "train-ranker" else []
        peak = run([stage, "--dataset", str(dataset), "--output", str(folder / "output"), *arm, *settings_of(shape)])
        shutil.rmtree(folder / "output")
        figures |= {f"{stage}, {name}: planned": planned, f"{stage}, {name}: measured": peak,
                    f"{stage}, {name}: ratio": planned / peak}
        print(f"{stage}, {name}: {planned / 1e6:.0f} MB planned, {peak / 1e6:.0f} measured, {planned / peak:.3f}",
              flush=True)
    ratios = [value for key, value in figures.items() if key.endswith("ratio")]
    return {"plan_over_measured": max(ratios, key=lambda ratio: abs(ratio - 1)), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--users", type=int, default=USERS, help="users of the logs")
    parser.add_argument("--dataset", type=Path, help="an earlier dataset of such logs, instead of a new one")
    parser.add_argument("--only", default="", help="measure the shapes whose name contains this")
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan:
        print(planned_peak(*json.loads(options.plan)))
        return
    with tempfile.TemporaryDirectory() as folder:
        dataset = options.dataset or build(Path(folder), options.users)
        figures = measured(Path(folder), dataset, options.only)
    print(f"plan_over_measured: {figures['plan_over_measured']:.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
