"""Measures how cost and memory of each stage grow from 10^6 to 10^7 engagements, and to 10^8 with ``--large``.

    python benchmarks/scale.py --json scale.json [--large] [--folder /data/scale]

The logs are planted (``planted_log.py``): users, items and impressions are in proportion to the engagements. Each stage
runs in a process of its own, whose peak memory is measured. The cost of a row is its CPU time, because other work on
the machine changes it less than the time of day; the cheapest of ``--repeats`` runs counts, above 10^7 the only one. A
growth is the larger one of the ratios of the cost per row between neighbouring sizes. The epochs of both trainings are
run; their cost is that of the median step times their steps, so it contains no tracing, evaluation or checkpoint.

With ``--folder``, results of finished stages are read from it, so that an interrupted run continues.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import scale_stages
from rich.console import Console
from rich.table import Table

SIZES, LARGE = (10**6, 10**7), 10**8
MAX_GROWTH = 1.3
OTHERS = {"sharded_tables.py": ("memory_per_device_ratio", "sharded_step_over_replicated"),
          "memory_plan.py": ("plan_over_measured",)}
console = Console(width=120)

Figures = dict[str, dict[int, dict[str, float]]]  # stage -> size -> figures


def main() -> None:
    arguments = _arguments()
    if arguments.stage:
        print(json.dumps(_run_stage(arguments.stage, arguments.folder, arguments.size)))
        return
    sizes = arguments.sizes or [*SIZES, *([LARGE] if arguments.large else [])]
    with tempfile.TemporaryDirectory() as temporary:
        stages = measure(arguments.folder or Path(temporary), sizes, arguments.repeats)
    result = summary(stages) | ({} if arguments.stages_only else others())
    show(stages, result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result | {"stages": stages}, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="10^8 engagements too: more than an hour, 25 GB of disk")
    parser.add_argument("--sizes", type=int, nargs="+", help="other numbers of engagements")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each stage up to 10^7")
    parser.add_argument("--stages-only", action="store_true", help="leave out sharded tables and memory plans")
    parser.add_argument("--folder", type=Path, help="folder for logs, outputs and results of stages, which is kept")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(folder: Path, sizes: list[int], repeats: int) -> Figures:
    """Runs all stages at all sizes."""
    stages: Figures = {stage: {} for stage in scale_stages.STAGES}
    for size, stage in itertools.product(sizes, scale_stages.STAGES):
        runs = [_finished(folder / str(size), stage, size, number) for number in range(repeats if size < LARGE else 1)]
        stages[stage][size] = min(runs, key=lambda run: run["cpu_seconds"]) | {
            "peak_bytes": max(run["peak_bytes"] for run in runs)}
    return stages


def _finished(folder: Path, stage: str, size: int, number: int) -> dict[str, float]:
    """Returns the result of a run, from its file if it has finished before."""
    path = folder / f"{stage}-{number}.json"
    if not path.exists():
        with console.status(f"{stage}: {size:,} engagements"):
            done = subprocess.run([sys.executable, __file__, f"--stage={stage}", f"--folder={folder}",
                                   f"--size={size}"], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"stage {stage!r} failed:\n{done.stderr}")
        path.write_text(done.stdout.splitlines()[-1])
    return dict(json.loads(path.read_text()))


def _run_stage(stage: str, folder: Path, size: int) -> dict[str, float]:
    """Runs a stage in this process; the first one needs the logs."""
    if not (folder / "logs").exists():
        subprocess.run([sys.executable, str(Path(__file__).with_name("planted_log.py")), str(folder / "logs"),
                        str(size)], check=True)
    return scale_stages.run(stage, folder, size)


def summary(stages: Figures) -> dict[str, float]:
    """Returns the figures that have a goal."""
    growth = {f"{stage}_cost_growth": max(ratios(sizes)) for stage, sizes in stages.items() if len(sizes) > 1}
    largest = max(stages["dataset"])
    dataset = stages["dataset"][largest]
    return growth | {"dataset_peak_bytes_per_row": dataset["peak_bytes"] / dataset["rows"],
                     "dataset_peak_bytes": dataset["peak_bytes"]}


def ratios(sizes: dict[int, dict[str, float]]) -> list[float]:
    """Returns the cost per row over that of the next smaller size."""
    costs = [sizes[size]["cpu_seconds"] / sizes[size]["rows"] for size in sorted(sizes)]
    return [later / earlier for earlier, later in itertools.pairwise(costs)]


def others() -> dict[str, float]:
    """Returns figures of benchmarks of their own, in which the log has no part."""
    found = {}
    for script, names in OTHERS.items():
        with tempfile.TemporaryDirectory() as folder, console.status(script):
            path = Path(folder, "figures.json")
            subprocess.run([sys.executable, str(Path(__file__).with_name(script)), f"--json={path}"], check=True,
                           capture_output=True)
            figures = json.loads(path.read_text())
        found |= {name: figures[name] for name in names}
    return found


def show(stages: Figures, result: dict[str, float]) -> None:
    """Prints figures and method."""
    console.print("A process per stage. Cost: CPU time per row, cheapest run. Epochs: median step times steps. Rows: "
                  "events (dataset), examples (epochs), rows of ID tables (export, load), ids (look-up).",
                  highlight=False)
    table = Table("stage", "engagements", "rows/s", "CPU us/row", "growth", "peak MB")
    for stage, sizes in stages.items():
        for size, growth in zip(sorted(sizes), [None, *ratios(sizes)], strict=True):
            row = sizes[size]
            table.add_row(stage, f"{size:,}", f"{row['rows'] / row['seconds']:,.0f}",
                          f"{row['cpu_seconds'] / row['rows'] * 1e6:.2f}", f"{growth:.2f}" if growth else "",
                          f"{row['peak_bytes'] / 1e6:,.0f}")
    console.print(table)
    for name, value in result.items():
        met = ("" if value <= MAX_GROWTH else f"  above {MAX_GROWTH}") if name.endswith("growth") else ""
        console.print(f"{name}: {value:.4g}{met}", highlight=False)


if __name__ == "__main__":
    main()
