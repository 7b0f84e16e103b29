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
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.options import DatasetOptions, ExtendOptions
from beam_pipelines.launching.command_line import parse_job
from beam_pipelines.launching.dataset_info import vocabularies_info
from beam_pipelines.launching.launch import Step, main, run_steps
from beam_pipelines.launching.positive_checks import check_training_positives
from beam_pipelines.logs.read_log import ReadLog
from beam_pipelines.records.files import WriteJson
from beam_pipelines.transforms.counting import CountValues
from beam_pipelines.transforms.moments import ExactMoments
from beam_pipelines.transforms.sampled_negatives import AddSampledNegatives
from beam_pipelines.transforms.side_tables import JoinSideFeatures
from beam_pipelines.transforms.vocabularies import (
    load_finished_vocabulary,
    save_vocabulary,
    vocabulary_info,
)
from tfrs_pretrain.artifact_names import VOCABULARY_KIND
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.schema import ITEM_ID, USER_ID, Schema
from tfrs_pretrain.value_types import ARROW_TYPES
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_lifecycle import advance, begin

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
        | "CountValues" >> CountValues()
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


def write_vocabulary(name: str, counts: pa.Table, job: Job) -> str:
    """Selects, orders and writes the ids of one vocabulary; returns its name.

    Args:
      name: id space or feature.
      counts: columns value and count, each value once.
      job: schema, output folder and, optionally, the folder to extend.

    Raises:
      UserError: the vocabulary to extend exceeds ``max_size``, or the ids are too much text for one vocabulary.
    """
    try:
        vocabulary = _selected(name, counts, job)
    except UserError as error:
        raise UserError(f"vocabulary {name!r}: {error}") from error
    save_vocabulary(vocabulary, job.folder, name)
    return name


def _selected(name: str, counts: pa.Table, job: Job) -> Vocabulary:
    rules, end = job.schema.vocabularies[name], job.config.windows.pretrain.bounds[1]
    ids, id_counts = counts["value"].cast(ARROW_TYPES[rules.dtype]), counts["count"].to_numpy()
    info = vocabulary_info(job.extend) if job.extend else {"vocabularies": {}}
    if job.extend and name in info["vocabularies"]:
        earlier = load_finished_vocabulary(job.extend, name, info)
        if rules.lifecycle:
            return advance(_with_lifetimes(earlier, info, end), ids, id_counts, end, rules.lifecycle,
                           min_count=rules.min_count, max_size=rules.max_size)
        if rules.max_size is not None and earlier.num_ids > rules.max_size:
            raise UserError(f"{job.extend!r} has {earlier.num_ids} ids, more than max_size {rules.max_size}, and each "
                            "would keep its row: raise max_size, or build without --extend")
        return earlier.extended(ids, id_counts, min_count=rules.min_count, max_size=rules.max_size)
    vocabulary = Vocabulary.from_counts(ids, id_counts, oov_rows=rules.oov_rows, min_count=rules.min_count,
                                        max_size=rules.max_size)
    return begin(vocabulary, end) if rules.lifecycle else vocabulary


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
