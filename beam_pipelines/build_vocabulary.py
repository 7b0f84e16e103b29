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

import dataclasses
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
from beam_pipelines.records.files import WriteJson, check_file, local_output
from beam_pipelines.records.local_copies import local_copy
from beam_pipelines.transforms.counting import CountValues
from beam_pipelines.transforms.id_lookups import open_lookup
from beam_pipelines.transforms.moments import ExactMoments
from beam_pipelines.transforms.sampled_negatives import AddSampledNegatives
from beam_pipelines.transforms.side_tables import JoinSideFeatures
from beam_pipelines.transforms.vocabularies import (
    lookup_path,
    vocabulary_info,
    vocabulary_path,
)
from beam_pipelines.transforms.vocabulary_order import CountRange, OrderCounts
from tfrs_pretrain.artifact_names import VOCABULARY_KIND
from tfrs_pretrain.config import Windows
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.features.base import Feature, VocabularyRules
from tfrs_pretrain.schema import ITEM_ID, USER_ID, Schema
from tfrs_pretrain.vocabulary_extension import EarlierVocabulary, ExtendedVocabulary, WindowCounts
from tfrs_pretrain.vocabulary_stream import VocabularyStream, VocabularyWriter

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

    Neither the ids nor those of an earlier vocabulary are all in memory.

    Args:
      name: id space or feature.
      ranges: its values with their counts.
      job: schema, output folder and, optionally, the folder to extend.

    Raises:
      UserError: the vocabulary to extend exceeds ``max_size``, or the ids need too many rows.
    """
    ranges, info = sorted(ranges), vocabulary_info(job.extend) if job.extend else {"vocabularies": {}}
    try:
        vocabulary = _extended(name, ranges, job, info) if name in info["vocabularies"] else _new(name, ranges, job)
        with local_output(vocabulary_path(job.folder, name)) as path:
            vocabulary.save(path)
        with local_output(lookup_path(job.folder, name)) as path:
            vocabulary.save_lookup(path)
    except UserError as error:
        raise UserError(f"vocabulary {name!r}: {error}") from error
    return name


def _new(name: str, ranges: list[CountRange], job: Job) -> VocabularyWriter:
    rules = job.schema.vocabularies[name]
    end = job.config.windows.pretrain.bounds[1] if rules.lifecycle else None
    return VocabularyStream(functools.partial(_selected, ranges, rules), rules.oov_rows, end)


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


def _extended(name: str, ranges: list[CountRange], job: Job, info: dict[str, Any]) -> VocabularyWriter:
    assert job.extend is not None
    rules, end = job.schema.vocabularies[name], job.config.windows.pretrain.bounds[1]
    path = local_copy(check_file(job.extend, info, vocabulary_path("", name)))
    earlier = EarlierVocabulary(path, open_lookup(job.extend, name, info))
    window = WindowCounts.read(earlier.lookup, (each.read() for each in ranges), rules.min_count)
    if rules.lifecycle:
        return ExtendedVocabulary(_with_lifetimes(earlier, info, end), window, max_size=rules.max_size,
                                  life_cycle=(end, rules.lifecycle))
    num_ids = sum(block.num_ids for block in earlier.blocks())
    if rules.max_size is not None and num_ids > rules.max_size:
        raise UserError(f"{job.extend!r} has {num_ids} ids, more than max_size {rules.max_size}, and each "
                        "would keep its row: raise max_size, or build without --extend")
    return ExtendedVocabulary(earlier, window, max_size=rules.max_size)


def _with_lifetimes(earlier: EarlierVocabulary, info: dict[str, Any], end: int) -> EarlierVocabulary:
    """Returns a vocabulary to extend; ids of one that had no life cycle count as seen in its window.

    Raises:
      UserError: its window ends after ``end``, the end of the window that extends it.
    """
    window = Windows.model_validate(info["config"]["windows"]).pretrain
    if window.bounds[1] > end:
        raise UserError(f"the vocabulary to extend was built from window {window}, which ends after windows.pretrain: "
                        "extend an earlier vocabulary, so that ids expire in the order of time")
    has_lifetimes = next(earlier.blocks()).lifetimes is not None
    return earlier if has_lifetimes else dataclasses.replace(earlier, seen_until=window.bounds[1])


if __name__ == "__main__":
    sys.exit(main(__spec__.name, ExtendOptions))
