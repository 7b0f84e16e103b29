"""Job: vocabularies of ID spaces and categorical features, statistics of numeric features, accounts of both logs.

ID spaces are counted over the engagements of the pretraining window, features over the impressions of the ranking
training window, so that nothing is learnt from validation or test.
"""

import functools
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.accounting import SumAccounts
from beam_pipelines.cleaning import ACCOUNTS, CleanLog
from beam_pipelines.counting import CountValues
from beam_pipelines.files import WriteJson
from beam_pipelines.job import RESULTS, Job, Log, arrow_type
from beam_pipelines.moments import ExactMoments
from beam_pipelines.parquet import ReadTable
from beam_pipelines.side_tables import JoinSideFeatures, missing_numeric
from beam_pipelines.vocabularies import compact, save_vocabulary, vocabulary_path
from tfrs_pretrain.schema import ITEM_ID, USER_ID, Schema
from tfrs_pretrain.vocabulary import MISSING, Vocabulary

ID_COLUMNS = {"user": USER_ID, "item": ITEM_ID}


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    engagements = read_log(pipeline, job, job.engagements, account=True)
    impressions = read_log(pipeline, job, job.impressions, account=True)
    training = (
        impressions
        | "TrainingWindow" >> beam.Filter(lambda element: element[0] == "train")
        | "JoinSideFeatures" >> JoinSideFeatures(job)
    )
    ids = engagements | "IdColumns" >> beam.FlatMapTuple(id_columns).with_output_types(tuple[str, pa.Array])
    features = training | "CategoricalColumns" >> beam.FlatMapTuple(
        functools.partial(categorical_columns, schema=job.schema)).with_output_types(tuple[str, pa.Array])
    _ = (
        (ids, features)
        | "AllColumns" >> beam.Flatten()
        | "CountValues" >> CountValues()
        | "WriteVocabulary" >> beam.MapTuple(functools.partial(write_vocabulary, job=job))
    )
    for feature in job.schema.of_kind("numeric", privileged=True):
        _ = (
            training
            | f"Values/{feature.name}" >> beam.MapTuple(functools.partial(numeric_column, name=feature.name))
            | f"Moments/{feature.name}" >> beam.CombineGlobally(ExactMoments())
            | f"WriteMoments/{feature.name}" >> WriteJson(job.path(RESULTS, f"numeric-{feature.name}.json"))
        )


def read_log(pipeline: beam.Pipeline, job: Job, log: Log, *, account: bool = False
             ) -> beam.PCollection[tuple[str, pa.RecordBatch]]:
    """Cleaned batches of a log by split; with ``account``, what became of its rows is written as a result."""
    cleaned = (
        pipeline
        | f"Read/{log.table}" >> ReadTable(log.table, job.source(log.table), log.columns, job.batch_rows)
        | f"Clean/{log.table}" >> CleanLog(log)
    )
    if account:
        _ = (
            cleaned[ACCOUNTS]
            | f"SumAccounts/{log.table}" >> beam.CombineGlobally(SumAccounts())
            | f"WriteAccount/{log.table}" >> WriteJson(job.path(RESULTS, f"account-{log.table}.json"))
        )
    return cleaned["batches"]


def id_columns(_: str, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """ID space -> raw ids of a cleaned batch."""
    for name, column in ID_COLUMNS.items():
        yield name, batch[column]


def categorical_columns(_: str, batch: pa.RecordBatch, schema: Schema) -> Iterator[tuple[str, pa.Array]]:
    """Feature -> raw values of a joined batch, missing ones filled in."""
    for feature in schema.of_kind("categorical", privileged=True):
        yield feature.name, compact(batch[feature.name]).dictionary_decode().fill_null(MISSING[feature.dtype])


def numeric_column(_: str, batch: pa.RecordBatch, name: str) -> np.ndarray:
    """float32 values of one feature of a joined batch, NaN where missing."""
    return missing_numeric(batch[name])


def write_vocabulary(name: str, counts: pa.Table, job: Job) -> str:
    """Admits, orders and writes one vocabulary; returns its path."""
    schema = job.schema
    limits = schema.id_spaces | {feature.name: feature for feature in schema.features}
    declared = limits[name]
    ids = counts["value"].combine_chunks().cast(arrow_type(declared.dtype))
    vocabulary = Vocabulary.from_counts(
        ids, counts["count"].to_numpy(), oov_rows=declared.oov_rows, min_count=declared.min_count,
        max_size=getattr(declared, "max_size", None))
    save_vocabulary(vocabulary, vocabulary_path(job, name))
    return name
