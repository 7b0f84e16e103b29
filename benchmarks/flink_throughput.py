"""Measures build_impressions on a local Flink cluster against Beam's in-process runner; prints a table.

    python deploy/flink/class_path_jar.py build/flink-job-server.jar
    python benchmarks/flink_throughput.py build/flink-job-server.jar --rows 2000000 --json flink.json

The cluster of ``deploy/flink/local_cluster.py`` runs on this machine: one task manager per slot, a worker pool for
each. Its start, the logs and the vocabularies are not timed. A run is timed from the submission of the pipeline to its
end, so it includes the upload of the class path and the start of workers. The first run on a cluster has cold JVMs.
"""

import argparse
import functools
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "deploy" / "flink"))
import beam_contenders as contenders
from local_cluster import cluster
from rich.console import Console
from rich.table import Table

from beam_pipelines import build_impressions
from beam_pipelines.jobs.runner import pipeline_options, run_pipeline

console = Console(width=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jar", type=Path, help="jar of deploy/flink/class_path_jar.py")
    parser.add_argument("--rows", type=int, default=2_000_000, help="impressions in the log")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2], help="numbers of slots (default: 1 2)")
    parser.add_argument("--repeats", type=int, default=2, help="runs on each engine")
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE",
                        help="more options of the jobs on Flink, such as object_reuse=true")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), given.jar, given.rows, given.slots, given.repeats,
                         [f"--{option}" for option in given.options])
    show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(folder: Path, jar: Path, rows: int, slots: list[int], repeats: int, options: list[str]) -> dict[str, Any]:
    """Returns the seconds of all runs by engine, and what they depend on."""
    contenders.write_logs(folder / "raw", rows)
    contenders.prepare(folder / "raw", folder / "prepared")
    contenders.start_engine()
    seconds = {"in process": [_seconds(folder, []) for _ in range(repeats)]}
    for number in slots:
        with cluster(jar, folder / f"cluster-{number}", task_managers=number, slots=1) as running:
            arguments = [*running.options, f"--parallelism={number}", *options]
            seconds[f"Flink, {number} slots"] = [_seconds(folder, arguments) for _ in range(repeats)]
    return {"rows": rows, "cores": os.cpu_count(), "load": os.getloadavg()[0], "options": options, "seconds": seconds}


def _seconds(folder: Path, arguments: list[str]) -> float:
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(folder / "prepared", output)
    job = contenders.job(folder / "raw", output)
    start = time.perf_counter()
    run_pipeline(functools.partial(build_impressions.build, job=job), pipeline_options(arguments))
    return time.perf_counter() - start


def show(result: dict[str, Any]) -> None:
    """Prints the method and the figures."""
    console.print(f"build_impressions of {result['rows']:,} rows on {result['cores']} cores (load {result['load']:.1f})"
                  f", options {' '.join(result['options']) or 'as in deploy/flink'}. Submission to end; start of the "
                  "cluster, logs and vocabularies untimed.", highlight=False)
    table = Table("engine", "s, first run", "s, best run", "rows/s, best run")
    for name, seconds in result["seconds"].items():
        best = min(seconds)
        table.add_row(name, f"{seconds[0]:.1f}", f"{best:.1f}", f"{result['rows'] / best:,.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
