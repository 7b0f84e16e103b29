"""Job: checks the records of a dataset against its schema, and against another dataset if one is named.

    python -m beam_pipelines.validate_examples --dataset runs/dataset --against runs/yesterday --max_psi 0.25 \\
        --report validation.json

Without ``--against`` each split is compared with the training split of the same dataset. Exit code 0: every limit
held; 3: a limit was passed, each is named; 2: a mistake in the arguments or no dataset there. Any option of a Beam
runner may follow; the statistics are handed over beside the report, so that with remote workers it must lie where they
can write.
"""

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.runner import help_text, pipeline_options, run_pipeline
from beam_pipelines.records.example_encoder import RecordBuffer
from beam_pipelines.records.example_parser import Column, MalformedExampleError, parse_examples
from beam_pipelines.records.files import WriteJson, atomic_write, read_json
from beam_pipelines.records.tfrecord_reader import DamagedFileError, read_tfrecord
from beam_pipelines.validation.dataset import DescribedDataset, ExpectedColumn
from beam_pipelines.validation.measurements import Statistics, contents, differences, drift
from beam_pipelines.validation.record_statistics import ColumnStatistics, SplitStatistics, SumStatistics, VocabularyRows
from beam_pipelines.validation.report import show
from beam_pipelines.validation.thresholds import THRESHOLDS, Measurement, check_limits
from tfrs_pretrain.config import load_config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.schema import KEY

EXIT_VIOLATED = 3
DATASET, REFERENCE = "dataset", "reference"
CHUNK_RECORDS = 1 << 16
# Columns that hold one value for each pair or impression of a block.
ONE_EACH = ("query", KEY)


class ValidationOptions(PipelineOptions):
    """What to compare with what, and the limits, beside the options of Beam."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dataset", help="folder of the dataset to check")
        parser.add_argument("--against", help="folder of the dataset to compare it with")
        parser.add_argument("--schema", help="check against the schema of this configuration (YAML file or bundled "
                            "name) instead of the one that the dataset was built with")
        parser.add_argument("--report", help="JSON file to write")
        for name, threshold in THRESHOLDS.items():
            parser.add_argument(f"--{name}", type=float, default=threshold.default, help=threshold.meaning + (
                " (default: only reported)" if threshold.default is None else " (default: %(default)g)"))


def build(pipeline: beam.Pipeline, datasets: dict[str, DescribedDataset], path: str) -> None:
    """Adds the job to a pipeline: statistics of all splits of all datasets, to one JSON file."""
    files = [(name, split, file) for name, dataset in datasets.items()
             for split in dataset.info["splits"] for file in [None, *dataset.files(split)]]
    roles = {name: {split: (dataset.expected(split), _rows(dataset, split)) for split in dataset.info["splits"]}
             for name, dataset in datasets.items()}
    _ = (
        pipeline
        | "Files" >> beam.Create(files)
        | "SpreadFiles" >> beam.Reshuffle()
        | "MeasureFile" >> beam.FlatMapTuple(functools.partial(measure_file, roles=roles)).with_output_types(
            tuple[tuple[str, str], SplitStatistics])
        | "SumStatistics" >> beam.CombinePerKey(SumStatistics())
        | "GatherSplits" >> beam.combiners.ToList()
        | "WriteStatistics" >> WriteJson(path)
    )


def _rows(dataset: DescribedDataset, split: str) -> dict[str, VocabularyRows]:
    """Column -> how to judge its vocabulary rows."""
    found = {name: dataset.rows(expected.vocabulary) for name, expected in dataset.expected(split).items()
             if expected.vocabulary}
    return {name: rows for name, rows in found.items() if rows}


Roles = dict[str, dict[str, tuple[dict[str, ExpectedColumn], dict[str, VocabularyRows]]]]


def measure_file(name: str, split: str, path: str | None, roles: Roles
                 ) -> Iterator[tuple[tuple[str, str], SplitStatistics]]:
    """Statistics of a file, a chunk at a time; None stands for a split without files."""
    if path is None:
        yield (name, split), SplitStatistics()
        return
    try:
        for records in read_tfrecord(path):
            for start in range(0, len(records), CHUNK_RECORDS):
                chunk = _part(records, start, min(start + CHUNK_RECORDS, len(records)))
                for statistics in measure(chunk, *roles[name][split]):
                    yield (name, split), statistics
    except (DamagedFileError, BeamIOError, OSError, EOFError) as error:
        yield (name, split), SplitStatistics(damaged={path: " ".join(str(error).split())})


def measure(records: RecordBuffer, expected: dict[str, ExpectedColumn], rows: dict[str, VocabularyRows]
            ) -> Iterator[SplitStatistics]:
    """Statistics of some records; where one is malformed, of ever smaller parts until it is alone."""
    try:
        columns = parse_examples(records)
    except MalformedExampleError:
        if len(records) == 1:
            yield SplitStatistics(records=1, malformed=1)
            return
        half = len(records) // 2
        for part in (_part(records, 0, half), _part(records, half, len(records))):
            yield from measure(part, expected, rows)
        return
    measured = {name: sum((_column(part, expected.get(name), rows.get(name)) for part in parts), ColumnStatistics())
                for name, parts in columns.items()}
    blocks = [measured[name].values for name in ONE_EACH
              if name in expected and expected[name].block and name in measured]
    yield SplitStatistics(len(records), blocks[0] if blocks else len(records), columns=measured)


def _column(part: Column, expected: ExpectedColumn | None, rows: VocabularyRows | None) -> ColumnStatistics:
    if expected is None or not expected.block or part.kind != "string":
        return ColumnStatistics.of(part, rows)
    width = np.dtype(expected.block).itemsize
    values = part.values[:len(part.values) // width * width].view(expected.block)
    kind, wide = ("float32", np.float32) if values.dtype.kind == "f" else ("int64", np.int64)
    numbers = Column(kind, part.records, part.sizes // width, values.astype(wide), part.sizes)
    return ColumnStatistics.of(numbers, rows).of_blocks(part)


def _part(records: RecordBuffer, start: int, end: int) -> RecordBuffer:
    offsets = records.offsets[start:end + 1]
    return RecordBuffer(records.data[offsets[0]:offsets[-1]], offsets - offsets[0])


def validate(options: PipelineOptions) -> tuple[dict[str, Any], PipelineResult]:
    """Runs the job and writes the report; returns its content (empty on a dry run) and the result of the pipeline.

    Raises:
      UserError: an argument is missing, or a folder holds no finished dataset.
    """
    arguments = options.view_as(ValidationOptions)
    for name in ("dataset", "report"):
        if getattr(arguments, name) is None:
            raise UserError(f"--{name} is missing: python -m beam_pipelines.validate_examples --help lists what is "
                            "needed")
    schema = load_config(arguments.schema).schema_ if arguments.schema else None
    datasets = {DATASET: DescribedDataset.open(arguments.dataset, schema)}
    if arguments.against:
        datasets[REFERENCE] = DescribedDataset.open(arguments.against)
    path = f"{arguments.report}.statistics"
    result = run_pipeline(functools.partial(build, datasets=datasets, path=path), options)
    if options.view_as(TestOptions).dry_run:
        return {}, result
    statistics: dict[str, Statistics] = {name: {} for name in datasets}
    for (name, split), found in read_json(path):
        statistics[name][split] = found
    FileSystems.delete([path])
    limits = {name: getattr(arguments, name) for name in THRESHOLDS}
    report = _report(datasets, statistics, check_limits(_measurements(datasets, statistics), limits))
    with atomic_write(arguments.report) as file:
        file.write((json.dumps(report, indent=2, sort_keys=True) + "\n").encode())
    return report, result


def _measurements(datasets: dict[str, DescribedDataset], statistics: dict[str, Statistics]) -> Iterator[Measurement]:
    dataset, found = datasets[DATASET], statistics[DATASET]
    yield from contents(dataset, found)
    if reference := datasets.get(REFERENCE):
        yield from differences(dataset, reference)
        for split in sorted(found.keys() & statistics[REFERENCE].keys()):
            yield from drift(dataset, split, found[split], reference, statistics[REFERENCE][split])
        return
    for split in sorted(found):
        train = f"{split.partition('/')[0]}/train"
        if split != train and train in found:
            yield from drift(dataset, split, found[split], dataset, found[train])


def _report(datasets: dict[str, DescribedDataset], statistics: dict[str, Statistics], checks: list[dict[str, Any]]
            ) -> dict[str, Any]:
    splits = {name: {split: found | {"columns": {column: _without_histogram(values)
                                                 for column, values in found["columns"].items()}}
                     for split, found in by_split.items()} for name, by_split in statistics.items()}
    return {"folders": {name: dataset.folder for name, dataset in datasets.items()}, "splits": splits,
            "digests": {name: dataset.digests for name, dataset in datasets.items()},
            "violations": [check for check in checks if check["violated"]], "checks": checks}


def _without_histogram(column: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in column.items() if name != "histogram"}


def run(argv: list[str]) -> PipelineResult:
    """Validates from command-line arguments, without the table and whatever the outcome.

    Raises:
      UserError: as ``validate``.
    """
    return validate(pipeline_options(argv))[1]


def main() -> int:
    """Entry point of ``python -m``: prints the table; the exit code tells the outcome."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(help_text("beam_pipelines.validate_examples", str(__doc__), [ValidationOptions]))
        return 0
    try:
        report, _ = validate(pipeline_options(sys.argv[1:]))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if not report:
        return 0
    show(report)
    return EXIT_VIOLATED if report["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
