"""Validates the records of a dataset against its schema and, optionally, against another dataset.

    python -m beam_pipelines.validate_examples --dataset runs/dataset --against runs/yesterday --max_psi 0.25 \\
        --report validation.json

Without ``--against``, each split is compared with the training split of the same dataset. Exit code 0: all checks
passed. Exit code 3: a limit was exceeded; the output names each violation. Exit code 2: an argument is wrong or the
dataset does not exist. Options of a Beam runner are accepted too. The job writes its statistics next to the report:
remote workers must be able to write there.
"""

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.options import SpillOptions
from beam_pipelines.jobs.runner import help_text, pipeline_options, run_pipeline
from beam_pipelines.records.files import WriteJson, atomic_write, delete, read_json
from beam_pipelines.validation.dataset import DescribedDataset
from beam_pipelines.validation.measurements import Statistics, measure_contents, measure_drift, measure_schema_changes
from beam_pipelines.validation.missing_values import add_missing_counts
from beam_pipelines.validation.record_measuring import measure_file
from beam_pipelines.validation.record_statistics import SplitStatistics, SumStatistics
from beam_pipelines.validation.report import print_report
from beam_pipelines.validation.thresholds import THRESHOLDS, Measurement, check_limits
from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError

EXIT_VIOLATED = 3
DATASET, REFERENCE = "dataset", "reference"


class ValidationOptions(PipelineOptions):
    """Datasets to compare, and limits, in addition to the options of Beam."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dataset", help="folder of the dataset to validate")
        parser.add_argument("--against", help="folder of the dataset to compare it with")
        parser.add_argument("--schema", help="check against the schema of this configuration (YAML file or bundled "
                            "name) instead of the one that the dataset was built with")
        parser.add_argument("--report", help="JSON file to write")
        for name, threshold in THRESHOLDS.items():
            parser.add_argument(f"--{name}", type=float, default=threshold.default, help=threshold.meaning + (
                " (default: only reported)" if threshold.default is None else " (default: %(default)g)"))


def build(pipeline: beam.Pipeline, datasets: dict[str, DescribedDataset], path: str) -> None:
    """Adds the job to a pipeline.

    Args:
      pipeline: pipeline to extend.
      datasets: name -> dataset.
      path: JSON file to write: a list of ((dataset, split), statistics).
    """
    splits = [(name, split) for name, dataset in datasets.items() for split in dataset.info["splits"]]
    # None stands for the split itself, so that a split without files is reported too.
    files = [(name, split, file) for name, split in splits for file in [None, *datasets[name].files(split)]]
    expected = {(name, split): datasets[name].expected_columns(split) for name, split in splits}
    _ = (
        pipeline
        | "CreateFiles" >> beam.Create(files)
        | "ShuffleFiles" >> beam.Reshuffle()
        | "MeasureFile" >> beam.FlatMapTuple(functools.partial(measure_file, expected=expected)).with_output_types(
            tuple[tuple[str, str], SplitStatistics])
        | "SumStatistics" >> beam.CombinePerKey(SumStatistics())
        | "GatherSplits" >> beam.combiners.ToList()
        | "WriteStatistics" >> WriteJson(path)
    )


def validate(options: PipelineOptions) -> tuple[dict[str, Any], PipelineResult]:
    """Runs the job and writes the report.

    Returns:
      The content of the report (empty for a dry run) and the result of the pipeline.

    Raises:
      UserError: an argument is missing, or a folder has no finished dataset.
    """
    arguments = options.view_as(ValidationOptions)
    for name in ("dataset", "report"):
        if getattr(arguments, name) is None:
            raise UserError(f"--{name} is missing: run python -m beam_pipelines.validate_examples --help for a list "
                            "of options")
    schema = load_config(arguments.schema).schema_ if arguments.schema else None
    datasets = {DATASET: DescribedDataset.open(arguments.dataset, schema)}
    if arguments.against:
        datasets[REFERENCE] = DescribedDataset.open(arguments.against)
    path = f"{arguments.report}.statistics"
    result = run_pipeline(functools.partial(build, datasets=datasets, path=path), options)
    if options.view_as(TestOptions).dry_run:
        return {}, result
    statistics: dict[str, Statistics] = {name: {} for name in datasets}
    for (name, split), measured in read_json(path):
        add_missing_counts(measured, datasets[name].info["splits"][split])
        statistics[name][split] = measured
    delete([path])
    limits = {name: getattr(arguments, name) for name in THRESHOLDS}
    report = _report(datasets, statistics, check_limits(_measure(datasets, statistics), limits))
    with atomic_write(arguments.report) as file:
        file.write((json.dumps(report, indent=2, sort_keys=True) + "\n").encode())
    return report, result


def _measure(datasets: dict[str, DescribedDataset], statistics: dict[str, Statistics]) -> Iterator[Measurement]:
    dataset, measured = datasets[DATASET], statistics[DATASET]
    yield from measure_contents(dataset, measured)
    if reference := datasets.get(REFERENCE):
        yield from measure_schema_changes(dataset, reference)
        for split in sorted(measured.keys() & statistics[REFERENCE].keys()):
            yield from measure_drift(dataset, split, measured[split], reference, statistics[REFERENCE][split])
        return
    for split in sorted(measured):
        train = f"{split.partition('/')[0]}/train"
        if split != train and train in measured:
            yield from measure_drift(dataset, split, measured[split], dataset, measured[train])


def _report(datasets: dict[str, DescribedDataset], statistics: dict[str, Statistics], checks: list[dict[str, Any]]
            ) -> dict[str, Any]:
    splits = {name: {split: measured | {"columns": {column: _without_histogram(values)
                                                    for column, values in measured["columns"].items()}}
                     for split, measured in by_split.items()} for name, by_split in statistics.items()}
    return {"folders": {name: dataset.folder for name, dataset in datasets.items()}, "splits": splits,
            "digests": {name: dataset.digests for name, dataset in datasets.items()},
            "violations": [check for check in checks if check["violated"]], "checks": checks}


def _without_histogram(column: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in column.items() if name != "histogram"}


def run(argv: list[str]) -> PipelineResult:
    """Validates from command-line arguments; prints nothing and ignores violations.

    Raises:
      UserError: see ``validate``.
    """
    return validate(pipeline_options(argv))[1]


def main() -> int:
    """Entry point of ``python -m``: prints the report and returns the exit code."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(help_text("beam_pipelines.validate_examples", str(__doc__),
                                   [ValidationOptions, SpillOptions]))
        return 0
    try:
        report, _ = validate(pipeline_options(sys.argv[1:]))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if not report:
        return 0
    print_report(report)
    return EXIT_VIOLATED if report["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
