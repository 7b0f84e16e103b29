"""Builds the impressions for Stage II, joined with side features and mapped to rows, as tf.Example records.

    python -m beam_pipelines.build_impressions --config CONFIG --raw FOLDER --vocabulary FOLDER --output FOLDER

Reads the impression log, the side tables and the vocabularies of an earlier job; with schema.history also the
engagement log, for the items that a user engaged with strictly before each impression. With dataset.negative_sampling,
a share of the training window's negatives is kept; dataset_info.json records it as negative_rate. With
dataset.implicit_feedback, the impression log contains positives only, and negatives are drawn from the engagement log.
Writes
impressions/{train,validation,test}-*.tfrecord, golden.parquet (validation impressions with raw values), a copy of the
vocabularies, rejected/impressions-*.parquet if there are bad rows, and finally dataset_info.json.

To evaluate a trained model on a later log (`tfrs-pretrain evaluate RANKER --dataset FOLDER`), use the vocabularies of
the dataset that the model was trained on and a later test window:

    python -m beam_pipelines.build_impressions --vocabulary DATASET --raw FOLDER --output FOLDER --splits test \\
        --set windows.test.start=2024-06-17 --set windows.test.end=2024-06-24
"""

import functools
import math
import sys
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.runners.runner import PipelineResult

from beam_pipelines.jobs.job import RESULTS_FOLDER, Job
from beam_pipelines.jobs.log_spec import LogSpec
from beam_pipelines.jobs.options import DatasetOptions, SplitOptions, VocabularyOptions
from beam_pipelines.launching.command_line import parse_job
from beam_pipelines.launching.coverage_checks import check_coverage
from beam_pipelines.launching.dataset_info import MISSING_LABEL, impressions_info
from beam_pipelines.launching.label_checks import check_labels
from beam_pipelines.launching.launch import Step, main, run_steps
from beam_pipelines.logs.keys import TIME, event_hash, unique_keys
from beam_pipelines.logs.read_log import ReadLog
from beam_pipelines.records.blocks import encode_block
from beam_pipelines.records.example_encoder import encode_examples
from beam_pipelines.records.files import WriteJson
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.row_order import HASH, SmallestHashes
from beam_pipelines.records.shards import WriteShards
from beam_pipelines.transforms.golden import write_golden
from beam_pipelines.transforms.history import JoinHistory, JoinRawHistory
from beam_pipelines.transforms.id_lookups import LookupDoFn, SharedLookups
from beam_pipelines.transforms.join_counts import JOIN_COUNTS_FILE, JoinCounts, WriteJoinCounts, count_joins
from beam_pipelines.transforms.sampled_negatives import AddSampledNegatives
from beam_pipelines.transforms.side_tables import JoinSideFeatures
from beam_pipelines.transforms.vocabularies import copy_vocabulary
from tfrs_pretrain.artifact_names import IMPRESSIONS_KIND
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import list_columns, record_columns
from tfrs_pretrain.schema import HISTORY, ITEM_ID, ITEM_ROW, KEY, LABEL, REQUEST, USER_ID, USER_ROW, WEIGHT, Schema

CHUNK_ROWS = 1 << 16
JOIN_COUNTS = "join_counts"


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline. The vocabularies must exist when the pipeline runs."""
    lookups = SharedLookups(job)
    impressions = pipeline | "ReadImpressions" >> ReadLog(job, job.impressions)
    if job.compares_times:
        engagements = pipeline | "ReadHistory" >> ReadLog(job, job.history)
    if job.config.dataset.implicit_feedback:
        impressions |= "AddSampledNegatives" >> AddSampledNegatives(job, engagements)
    split_to_joined = (
        impressions
        | "AddHash" >> beam.MapTuple(functools.partial(add_hash, log=job.impressions)).with_output_types(
            tuple[str, pa.RecordBatch])
        | "JoinSideFeatures" >> JoinSideFeatures(job)
    )
    mapped = split_to_joined | "MapIdsToRows" >> beam.ParDo(_MapIdsToRows(job, lookups)).with_output_types(
        tuple[str, pa.RecordBatch], join_counts=tuple[str, JoinCounts]).with_outputs(JOIN_COUNTS, main="batches")
    split_to_rows = mapped["batches"]
    golden = (
        split_to_joined
        | "SelectValidation" >> beam.Filter(lambda element: element[0] == "validation")
        | "DropSplit" >> beam.Values().with_output_types(pa.RecordBatch)
        | "SelectSmallestHashes" >> beam.CombineGlobally(
            SmallestHashes(job.config.dataset.golden_examples)).without_defaults()
    )
    if job.schema.history:
        split_to_rows |= "JoinHistory" >> JoinHistory(job, engagements, lookups)
        golden |= "JoinRawHistory" >> JoinRawHistory(job, engagements, lookups)
    _ = (
        split_to_rows
        | "WriteImpressions" >> WriteShards(
            job.folder, tuple(f"impressions/{split}" for split in job.splits), job.config.dataset,
            encode=functools.partial(encode_impressions, config=job.config),
            measure=functools.partial(measure_impressions, schema=job.schema))
        | "GatherFiles" >> beam.combiners.ToList()
        | "WriteFileList" >> WriteJson(job.path(RESULTS_FOLDER, "impressions.json"))
    )
    _ = golden | "WriteGolden" >> beam.Map(write_golden, job)
    _ = mapped[JOIN_COUNTS] | "WriteJoinCounts" >> WriteJoinCounts(job.path(RESULTS_FOLDER, JOIN_COUNTS_FILE))
    if job.vocabulary:
        _ = (
            pipeline
            | "CreateVocabularyNames" >> beam.Create(list(job.schema.vocabularies))
            | "CopyVocabulary" >> beam.Map(copy_vocabulary, job)
        )


def run(argv: list[str]) -> PipelineResult:
    """Runs the job from command-line arguments.

    Raises:
      UserError: see ``run_steps`` and ``parse_job``.
    """
    job, options = parse_job(argv, VocabularyOptions, SplitOptions)
    steps = [Step("impressions", build, job.impression_logs, (check_coverage, check_labels))]
    return run_steps(job, IMPRESSIONS_KIND, steps, impressions_info, options,
                     overwrite=options.view_as(DatasetOptions).overwrite)[0]


def add_hash(split: str, batch: pa.RecordBatch, log: LogSpec) -> tuple[str, pa.RecordBatch]:
    """Adds a column @hash, see ``event_hash``, to a cleaned batch."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return split, pa.RecordBatch.from_pydict(columns | {HASH: event_hash(batch, log.context_features)})


class _MapIdsToRows(LookupDoFn):
    def __init__(self, job: Job, lookups: SharedLookups):
        super().__init__(lookups)
        self._job = job

    def process(self, element: tuple[str, pa.RecordBatch]) -> Iterator[Any]:
        split, batch = element
        lookup = self._lookups.lookup
        columns = {HASH: batch[HASH], USER_ID: batch[USER_ID], ITEM_ID: batch[ITEM_ID],
                   USER_ROW: lookup("user", batch[USER_ID]), ITEM_ROW: lookup("item", batch[ITEM_ID]),
                   LABEL: batch[LABEL]}
        columns |= {name: batch[name] for name in self._job.schema.labels}
        if self._job.schema.request:
            columns[REQUEST] = batch[REQUEST]
        if self._job.schema.has_weights:
            columns[WEIGHT] = batch[WEIGHT]
        if self._job.schema.history:
            columns[TIME] = batch[TIME]
        for feature in self._job.schema.features:
            columns[feature.name] = feature.record_values(batch[feature.name], lookup)
        yield f"impressions/{split}", pa.RecordBatch.from_pydict(columns)
        pretrained = {space: self._lookups.occurring(space)[columns[space]]
                      for space in (USER_ROW, ITEM_ROW)}
        counts = count_joins(batch, pretrained, self._job.schema.features)
        yield beam.pvalue.TaggedOutput(JOIN_COUNTS, (f"impressions/{split}", counts))


def encode_impressions(table: pa.Table, *, config: Config) -> Iterator[RecordBuffer]:
    """Yields the records of a shard: one per impression, or one per block of impressions, in the order of the rows.

    Args:
      table: rows of a shard, sorted, with the columns of the schema and @hash.
      config: schema, format and size of blocks.
    """
    columnar = config.dataset.impressions_format == "columnar"
    types = {name: column.arrow_type for name, column in record_columns(config.schema_).items()}
    table = table.append_column(KEY, pa.array(unique_keys(table[HASH].to_numpy())))
    step = config.dataset.impressions_per_block if columnar else CHUNK_ROWS
    for start in range(0, table.num_rows, step):
        chunk = table.slice(start, step).combine_chunks()
        columns = {name: chunk[name].combine_chunks().cast(dtype) for name, dtype in types.items()}
        yield encode_block(columns) if columnar else encode_examples(columns)


def measure_impressions(table: pa.Table, *, schema: Schema) -> dict[str, Any]:
    """Counts positives and missing values of each label, values of list columns, empty histories, and unknown ids.

    The weights are summed.
    """
    labels = {f"{name}_rate": _positives(table[name]) for name in schema.labels}
    missing = {MISSING_LABEL + name: int(np.isnan(table[name].to_numpy()).sum())
               for name in schema.optional_label_columns}
    lists = {f"{name}_length": pc.sum(pc.list_value_length(table[name])).as_py() for name in list_columns(schema)}
    history = {"empty_histories": int(pc.sum(pc.equal(pc.list_value_length(table[HISTORY]), 0)).as_py())
               } if schema.history else {}
    weights = {"weight_mean": math.fsum(table[WEIGHT].to_numpy())} if schema.has_weights else {}
    return {"positives": _positives(table[LABEL]), **labels, **missing, **weights, **lists, **history,
            "oov_users": int((table[USER_ROW].to_numpy() < schema.user.oov_rows).sum()),
            "oov_items": int((table[ITEM_ROW].to_numpy() < schema.item.oov_rows).sum())}


def _positives(labels: pa.ChunkedArray) -> int:
    return int(np.nansum(labels.to_numpy(), dtype=np.float64))


if __name__ == "__main__":
    sys.exit(main(__spec__.name, VocabularyOptions, SplitOptions))
