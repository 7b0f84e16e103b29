"""Builds the vocabularies of id spaces and categorical features, and the statistics of numeric features.

    python -m beam_pipelines.build_vocabulary --config CONFIG --raw FOLDER --output FOLDER [--extend FOLDER]

Reads the engagement log, the impression log and the side tables. Ids are counted over the engagements of the
pretraining window, features over the impressions of the ranking training window: nothing is learned from validation or
test. Ids are admitted by minimum count and maximum size, and their rows have the order (-count, id). With --extend,
every id of an earlier vocabulary keeps its row and gets its new count, unless schema.<space>.ttl or eviction removes
it; new ids get the free rows, then rows at the end.

Writes vocabulary/<name>.parquet (id and count, in row order) with <name>.lookup.arrow (sorted hashes and rows),
rejected/<log>-*.parquet if there are bad rows, and finally dataset_info.json (numeric statistics, row counts, digests).
"""

import functools
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.options import DatasetOptions, ExtendOptions
from beam_pipelines.launching.command_line import parse_job
from beam_pipelines.launching.dataset_info import vocabularies_info
from beam_pipelines.launching.launch import Step, main, run_steps
from beam_pipelines.launching.positive_checks import check_training_positives
from beam_pipelines.logs.read_log import ReadLog
from beam_pipelines.records.files import WriteJson, local_output
from beam_pipelines.transforms.counting import CountValues
from beam_pipelines.transforms.moments import ExactMoments
from beam_pipelines.transforms.sampled_negatives import AddSampledNegatives
from beam_pipelines.transforms.side_tables import JoinSideFeatures
from beam_pipelines.transforms.vocabularies import (
    load_finished_vocabulary,
    lookup_path,
    save_vocabulary,
    vocabulary_info,
    vocabulary_path,
)
from beam_pipelines.transforms.vocabulary_order import CountRange, OrderCounts
from tfrs_pretrain.artifact_names import VOCABULARY_KIND
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature, VocabularyRules
from tfrs_pretrain.schema import ITEM_ID, USER_ID, Schema
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_lifecycle import advance, begin
from tfrs_pretrain.vocabulary_stream import VocabularyStream

ID_COLUMNS = {"user": USER_ID, "item": ITEM_ID}


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    engagements = pipeline | "ReadEngagements" >> ReadLog(job, job.engagements)
    impressions = pipeline | "ReadImpressions" >> ReadLog(job, job.impressions)
    if job.config.dataset.implicit_feedback:
        history = pipeline | "ReadHistory" >> ReadLog(job, job.history)
        impressions |= "AddSampledNegatives" >> AddSampledNegatives(job, history)
    training = (
        impressions
        | "SelectTrainingWindow" >> beam.Filter(lambda element: element[0] == "train")
        | "JoinSideFeatures" >> JoinSideFeatures(job)
    )
    space_to_ids = engagements | "SelectIds" >> beam.FlatMapTuple(select_ids).with_output_types(tuple[str, pa.Array])
    feature_to_values = training | "SelectCountedValues" >> beam.FlatMapTuple(
        functools.partial(select_counted_values, schema=job.schema)).with_output_types(tuple[str, pa.Array])
    _ = (
        (space_to_ids, feature_to_values)
        | "MergeIdsAndFeatures" >> beam.Flatten()
        | "CountValues" >> CountValues(job.num_buckets)
        | "OrderCounts" >> OrderCounts(job)
        | "WriteVocabulary" >> beam.MapTuple(functools.partial(write_vocabulary, job=job))
    )
    for feature in job.schema.moment_features:
        _ = (
            training
            | f"SelectValues/{feature.name}" >> beam.MapTuple(functools.partial(select_moment_values, feature=feature))
            | f"ComputeMoments/{feature.name}" >> beam.CombineGlobally(ExactMoments())
            | f"WriteMoments/{feature.name}" >> WriteJson(job.path(RESULTS_FOLDER, f"numeric-{feature.name}.json"))
        )


def run(argv: list[str]) -> PipelineResult:
    """Runs the job from command-line arguments.

    Raises:
      UserError: see ``run_steps`` and ``parse_job``.
    """
    job, options = parse_job(argv, ExtendOptions)
    steps = [Step("vocabularies", build, (job.engagements, *job.positive_logs), (check_training_positives,))]
    return run_steps(job, VOCABULARY_KIND, steps, vocabularies_info, options,
                     overwrite=options.view_as(DatasetOptions).overwrite)[0]


def select_ids(_: str, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """Yields id space -> raw ids [n] of a cleaned batch."""
    for name, column in ID_COLUMNS.items():
        yield name, batch[column]


def select_counted_values(_: str, batch: pa.RecordBatch, schema: Schema) -> Iterator[tuple[str, pa.Array]]:
    """Yields vocabulary -> the values of a joined batch that it counts."""
    for feature in schema.features:
        if feature.vocabulary:
            yield feature.name, feature.counted_values(batch[feature.name])


def select_moment_values(_: str, batch: pa.RecordBatch, feature: Feature) -> np.ndarray:
    """Returns float32 [n] values of one feature of a joined batch, NaN if missing."""
    return feature.moment_values(batch[feature.name])


def write_vocabulary(name: str, ranges: Iterable[CountRange], job: Job) -> str:
    """Selects and writes the ids of one vocabulary; returns its name.

    A new vocabulary is written range by range. One that extends an earlier one is built in memory.

    Args:
      name: id space or feature.
      ranges: its values with their counts.
      job: schema, output folder and, optionally, the folder to extend.

    Raises:
      UserError: the vocabulary to extend exceeds ``max_size``, or the ids need too many rows.
    """
    ranges, info = sorted(ranges), vocabulary_info(job.extend) if job.extend else {"vocabularies": {}}
    try:
        if job.extend and name in info["vocabularies"]:
            save_vocabulary(_extended(name, pa.concat_tables(each.read() for each in ranges), job, info), job.folder,
                            name)
        else:
            _write_new(name, ranges, job)
    except UserError as error:
        raise UserError(f"vocabulary {name!r}: {error}") from error
    return name


def _write_new(name: str, ranges: list[CountRange], job: Job) -> None:
    rules = job.schema.vocabularies[name]
    batches = functools.partial(_selected, ranges, rules)
    stream = VocabularyStream(batches, sum(batch.num_rows for batch in batches()), rules.oov_rows,
                              job.config.windows.pretrain.bounds[1] if rules.lifecycle else None)
    with local_output(vocabulary_path(job.folder, name)) as path:
        stream.save(path)
    with local_output(lookup_path(job.folder, name)) as path:
        stream.save_lookup(path)


def _selected(ranges: list[CountRange], rules: VocabularyRules) -> Iterator[pa.Table]:
    """Yields the admitted ids, most frequent first, in tables with the columns id and count."""
    room = rules.max_size
    for each in ranges:
        if room == 0:
            return
        counts = each.read().rename_columns(["id", "count"])
        counts = counts.filter(pc.greater_equal(counts["count"], rules.min_count)).slice(0, room)
        room = None if room is None else room - counts.num_rows
        yield counts


def _extended(name: str, counts: pa.Table, job: Job, info: dict[str, Any]) -> Vocabulary:
    assert job.extend is not None
    rules, end = job.schema.vocabularies[name], job.config.windows.pretrain.bounds[1]
    ids, id_counts = counts["value"], counts["count"].to_numpy()
    earlier = load_finished_vocabulary(job.extend, name, info)
    if rules.lifecycle:
        return advance(_with_lifetimes(earlier, info, end), ids, id_counts, end, rules.lifecycle,
                       min_count=rules.min_count, max_size=rules.max_size)
    if rules.max_size is not None and earlier.num_ids > rules.max_size:
        raise UserError(f"{job.extend!r} has {earlier.num_ids} ids, more than max_size {rules.max_size}, and each "
                        "would keep its row: raise max_size, or build without --extend")
    return earlier.extended(ids, id_counts, min_count=rules.min_count, max_size=rules.max_size)


def _with_lifetimes(earlier: Vocabulary, info: dict[str, Any], end: int) -> Vocabulary:
    """Returns a vocabulary to extend; ids of one that had no life cycle count as seen in its window.

    Raises:
      UserError: its window ends after ``end``, the end of the window that extends it.
    """
    window = Windows.model_validate(info["config"]["windows"]).pretrain
    if window.bounds[1] > end:
        raise UserError(f"the vocabulary to extend was built from window {window}, which ends after windows.pretrain: "
                        "extend an earlier vocabulary, so that ids expire in the order of time")
    return earlier if earlier.lifetimes else begin(earlier, window.bounds[1])


if __name__ == "__main__":
    sys.exit(main(__spec__.name, ExtendOptions))
