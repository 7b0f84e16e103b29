"""Measures speed and memory of the Beam jobs against the usual implementations; prints a table of ratios.

    python benchmarks/beam_throughput.py --rows 2000000 --json throughput.json

Each contender runs in a separate process on Beam's in-process runner (or without Beam), so that its peak memory is
measured alone. Imports, the start of the engine (a pipeline of one element) and the generation of logs and vocabularies
are not timed; reading Parquet and writing files are. Contenders take turns, ``--repeats`` times (the row-based job runs
once), and the fastest run of each is used: on a shared machine single times vary by half and more, ratios of the
fastest runs much less.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rich.console import Console
from rich.table import Table

TARGETS = {"speedup_over_row_job": ("at least", 10.0), "slowdown_over_pyarrow": ("at most", 1.6),
           "count_speedup_over_rows": ("at least", 8.0)}
MEMORY_FRACTIONS = (4, 2)
FAST, SLOW = ("job", "pyarrow", "count", "count rows"), ("row job",)
DESCRIPTIONS = {
    "job": "build_impressions of this project", "pyarrow": "pyarrow, this encoder, tf.io.TFRecordWriter, no Beam",
    "row job": "Beam on rows: tf.train.Example, Reshuffle, WriteToTFRecord",
    "count": "CountValues of this project", "count rows": "Beam on rows: CombinePerKey(sum)",
}
console = Console(width=120)


def main() -> None:
    arguments = _arguments()
    if arguments.contender:
        sys.stdout.write(json.dumps(_measure(arguments.contender, arguments.folder)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = compare(Path(folder), arguments.rows, arguments.row_job_rows or arguments.rows, arguments.repeats)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="impressions in the log")
    parser.add_argument("--row_job_rows", type=int, help="impressions for the job of rows (default: as many); its rate "
                        "is compared")
    parser.add_argument("--repeats", type=int, default=2, help="turns of each contender; the slow one takes one")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--folder", type=Path, help="folder for temporary files (several GB at 2M rows)")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(folder: Path, rows: int, row_job_rows: int, repeats: int) -> dict[str, Any]:
    """Runs every contender and returns the figures."""
    smaller = [rows // fraction for fraction in MEMORY_FRACTIONS]
    for size in sorted({rows, row_job_rows, *smaller}):
        with console.status(f"logs and vocabularies of {size:,} impressions"):
            _call("prepare", folder / str(size))
    best = {name: _run(name, folder, row_job_rows if name == "row job" else rows) for name in FAST + SLOW}
    for _ in range(repeats - 1):
        for name in FAST:
            best[name] = max(best[name], _run(name, folder, rows), key=lambda run: run["rows_per_second"])
    memory = [_run("job", folder, size) for size in smaller] + [best["job"]]
    rate = {name: run["rows_per_second"] for name, run in best.items()}
    return {
        "speedup_over_row_job": rate["job"] / rate["row job"],
        "slowdown_over_pyarrow": rate["pyarrow"] / rate["job"],
        "count_speedup_over_rows": rate["count"] / rate["count rows"],
        "peak_rss_bytes": best["job"]["peak_rss_bytes"],
        "memory": [{name: run[name] for name in ("rows", "peak_rss_bytes", "imports_rss_bytes")} for run in memory],
        "contenders": best, "repeats": repeats, "cores": os.cpu_count(),
    }


def _run(name: str, folder: Path, rows: int) -> dict[str, Any]:
    with console.status(f"{name}: {rows:,} impressions"):
        return _call(name, folder / str(rows))


def _call(name: str, folder: Path) -> dict[str, Any]:
    """Runs a contender in a separate process and returns its figures; ``folder`` is named after its number of rows."""
    done = subprocess.run([sys.executable, __file__, f"--contender={name}", f"--folder={folder}"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"contender {name!r} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(name: str, folder: Path) -> dict[str, Any]:
    """Runs one contender in this process."""
    import beam_contenders as contenders  # noqa: PLC0415

    rows = int(folder.name)
    if name == "prepare":
        contenders.write_logs(folder / "raw", rows)
        contenders.prepare(folder / "raw", folder / "prepared")
        return {}
    output = folder / name
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(folder / "prepared", output)
    run = contenders.CONTENDERS[name]
    if name in contenders.NEEDS_TENSORFLOW:
        import tensorflow  # noqa: F401, PLC0415
    contenders.start_engine()
    imports = _peak_rss()
    start, cpu = time.perf_counter(), time.process_time()
    run(contenders.job(folder / "raw", output))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"rows": rows, "seconds": seconds, "cpu_seconds": cpu, "rows_per_second": rows / seconds,
            "peak_rss_bytes": _peak_rss(), "imports_rss_bytes": imports}


def _peak_rss() -> int:
    # Linux counts kilobytes, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def show(result: dict[str, Any]) -> None:
    """Prints figures, method and targets."""
    console.print(f"Beam's in-process runner, {result['cores']} cores; contenders ran {result['repeats']} times "
                  f"in turns and the best counts, {SLOW[0]} once. Read Parquet, write TFRecord; "
                  "imports, engine start, logs and vocabularies untimed.", highlight=False)
    console.print(_contender_table(result["contenders"]), _memory_table(result["memory"]), _ratio_table(result))


def _contender_table(contenders: dict[str, dict[str, Any]]) -> Table:
    table = Table("contender", "rows", "s", "CPU s", "rows/s", "peak RSS")
    for name, run in contenders.items():
        table.add_row(DESCRIPTIONS[name], f"{run['rows']:,}", f"{run['seconds']:.1f}", f"{run['cpu_seconds']:.1f}",
                      f"{run['rows_per_second']:,.0f}", _megabytes(run["peak_rss_bytes"]))
    return table


def _memory_table(memory: list[dict[str, Any]]) -> Table:
    table = Table("memory of the job at rows", "peak RSS", "above imports", "bytes a row")
    for run in memory:
        own = run["peak_rss_bytes"] - run["imports_rss_bytes"]
        table.add_row(f"{run['rows']:,}", _megabytes(run["peak_rss_bytes"]), _megabytes(own),
                      f"{own / run['rows']:.0f}")
    return table


def _ratio_table(result: dict[str, Any]) -> Table:
    table = Table("ratio", "measured", "target", "met")
    for name, (side, target) in TARGETS.items():
        met = result[name] >= target if side == "at least" else result[name] <= target
        table.add_row(name, f"{result[name]:.2f}", f"{side} {target:g}", "yes" if met else "NO")
    return table


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
