"""Four ways to write the same impressions and two to count ids: what ``beam_throughput.py`` runs, each in a process.

All read the same Parquet files with the same vocabularies and write the same columns of the same rows, shuffled.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beam_pipelines import build_impressions, build_vocabulary
from beam_pipelines.jobs.job import Job
from beam_pipelines.jobs.options import MIN_BUCKETS
from beam_pipelines.jobs.runner import pipeline_options, run_pipeline
from beam_pipelines.logs.keys import unique_keys
from beam_pipelines.records.example_encoder import encode_examples
from beam_pipelines.records.files import WriteJson
from beam_pipelines.transforms.counting import CountValues
from beam_pipelines.transforms.id_lookups import IdLookups
from beam_pipelines.transforms.vocabularies import Vocabularies
from tfrs_pretrain.config import Config, load_config
from tfrs_pretrain.data.dataset import impression_columns, shard_path
from tfrs_pretrain.experiments.logs.planted import DAYS, EPOCH, PRETRAIN_DAYS, SURFACES
from tfrs_pretrain.features.base import Feature
from tfrs_pretrain.hashing import combine, hash_ids
from tfrs_pretrain.value_types import MISSING

CONFIG = Path(__file__).parents[1] / "experiments" / "configs" / "planted.yaml"
COLUMNS = ["member", "item", "ts", "day", "clicked", "surface", "dwell"]
USERS, ITEMS, ENGAGEMENTS = 200_000, 100_000, 1_000_000
TEMPORARY_RESULTS = "counts.json"
SHARDS = 8


def configuration() -> Config:
    """The schema of the planted logs: an int64 and a string id, five features of two kinds from all three tables."""
    return load_config(str(CONFIG), [f"dataset.shards={SHARDS}"])


def write_logs(folder: Path, rows: int, seed: int = 0) -> None:
    """Writes Parquet logs of the schema of ``configuration``; popularity of items follows Zipf's law."""
    generator = np.random.default_rng(seed)
    names = pa.array([f"ítem-{number}" for number in range(ITEMS)])
    popularity = 1 / np.arange(1, ITEMS + 1)

    def events(count: int) -> dict[str, Any]:
        seconds = generator.integers(0, DAYS * 86400, count)
        item = generator.choice(ITEMS, count, p=popularity / popularity.sum())
        return {"day": (seconds // 86400).astype(np.int32), "item": names.take(pa.array(item)),
                "ts": pa.array(np.datetime64(EPOCH, "us") + seconds.astype("timedelta64[s]")),
                "member": generator.integers(0, USERS, count) * 17 + 1000}

    impressions = events(rows) | {
        # Every impression is in one of the three ranking windows.
        "day": generator.integers(PRETRAIN_DAYS, DAYS, rows).astype(np.int32),
        "surface": pa.array(SURFACES).take(pa.array(generator.integers(0, len(SURFACES), rows))),
        "dwell": generator.normal(size=rows).astype(np.float32),
        "clicked": (generator.random(rows) < 0.2).astype(np.int8)}
    quality = pa.array(generator.normal(size=ITEMS).astype(np.float32), mask=generator.random(ITEMS) < 0.2)
    country = pa.array(["Perú", "Österreich", "日本"]).take(pa.array(generator.integers(0, 3, USERS)))
    tables = {"impressions": impressions, "engagements": events(ENGAGEMENTS),
              "items": {"item": names, "topic_id": generator.integers(0, 50, ITEMS), "quality": quality},
              "users": {"member": np.arange(USERS) * 17 + 1000, "country": country}}
    folder.mkdir(parents=True)
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=1 << 17)


def job(raw: Path, output: Path) -> Job:
    """The task of every contender."""
    return Job(configuration(), str(raw), str(output))


def prepare(raw: Path, output: Path) -> None:
    """Builds the vocabularies that every contender uses."""
    run_pipeline(functools.partial(build_vocabulary.build, job=job(raw, output)), pipeline_options([]))


def _path(job: Job, table: str) -> str:
    return f"{job.raw}/{table}.parquet"


def start_engine() -> None:
    """Runs a pipeline of one element, because Beam loads many of its modules with the first pipeline."""
    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([(0, 1)]) | beam.GroupByKey() | beam.Map(str)

    run_pipeline(build, pipeline_options([]))


def job_of_this_project(job: Job) -> None:
    """Runs the measured job."""
    run_pipeline(functools.partial(build_impressions.build, job=job), pipeline_options([]))


def rows_through_beam(job: Job) -> None:
    """Runs the job as in Beam's own examples: one dict, protobuf and element per row, then ``WriteToTFRecord``."""
    def build(pipeline: beam.Pipeline) -> None:
        splits = list(job.impressions.windows)
        parts = (
            pipeline
            | beam.io.ReadFromParquet(_path(job, "impressions"), columns=COLUMNS)
            | beam.ParDo(_ToExample(job))
            | beam.Reshuffle()
            | beam.Partition(lambda element, _: element[0], len(splits))
        )
        for split, part in zip(splits, parts, strict=True):
            _ = (part | f"Records/{split}" >> beam.Values()
                 | f"Write/{split}" >> beam.io.WriteToTFRecord(job.path(f"impressions/{split}"), num_shards=SHARDS))

    Path(job.path("impressions")).mkdir(parents=True)
    run_pipeline(build, pipeline_options([]))


class _ToExample(beam.DoFn):
    def __init__(self, job: Job):
        self._job = job

    def setup(self) -> None:
        import tensorflow as tf  # noqa: PLC0415

        self._tf = tf
        schema = self._job.schema
        self._vocabularies = Vocabularies.load(self._job).by_name
        self._rows = {name: dict(zip(vocabulary.ids.to_pylist(), range(vocabulary.oov_rows, vocabulary.num_rows),
                                     strict=True)) for name, vocabulary in self._vocabularies.items()}
        self._side = {}
        for table, space in (("items", schema.item), ("users", schema.user)):
            records = pq.read_table(_path(self._job, table)).to_pylist()
            self._side[table] = {record[space.column]: record for record in records}

    def _row(self, name: str, value: Any) -> int:
        rows = self._rows[name]
        if value is None:
            value = MISSING[self._vocabularies[name].dtype]
        if value not in rows:
            rows[value] = int(self._vocabularies[name].lookup(pa.array([value]))[0])
        return rows[value]

    def process(self, row: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
        schema = self._job.schema
        user, item = row[schema.user.column], row[schema.item.column]
        if user is None or user < 0 or not item or row[schema.time] is None or row[schema.label] not in {0, 1}:
            return
        for place, window in enumerate(self._job.impressions.windows.values()):
            if window.bounds[0] <= row[schema.window] < window.bounds[1]:
                yield place, self._example(row, user, item)

    def _example(self, row: dict[str, Any], user: int, item: str) -> bytes:
        tf = self._tf
        key = hash((user, item, row["ts"], row["surface"]))
        values: dict[str, Any] = {"key": [key], "user_id": [user], "item_id": [item.encode()],
                                  "user": [self._row("user", user)], "item": [self._row("item", item)],
                                  "label": [float(row["clicked"])]}
        for feature in self._job.schema.features:
            side = {"items": item, "users": user}
            source = row if feature.source == "impressions" else self._side[feature.source].get(side[feature.source],
                                                                                               {})
            value = source.get(feature.source_column)
            if feature.record_column.is_category:
                values[feature.name] = [self._row(feature.name, value)]
            else:
                values[feature.name] = [float("nan") if value is None else float(value)]
        lists = {int: lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=v)),
                 float: lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=v)),
                 bytes: lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=v))}
        feature = {name: lists[type(value[0])](value) for name, value in values.items()}
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def pyarrow_alone(job: Job) -> None:
    """Runs the job without Beam: whole columns in pyarrow and numpy, this encoder, ``tf.io.TFRecordWriter``.

    Byte-identical to the files of the job. Loads the whole log into memory and uses one machine.
    """
    schema = job.schema
    log = pq.read_table(_path(job, "impressions"), columns=COLUMNS,
                        read_dictionary=[schema.item.column, "surface"])
    log = log.filter(_good(log, job)).unify_dictionaries().combine_chunks()
    log = log.set_column(log.schema.get_field_index(schema.time), schema.time, log[schema.time].cast(pa.int64()))
    side = {table: pq.read_table(_path(job, table)).combine_chunks() for table in ("items", "users")}
    vocabularies = IdLookups.open(job)
    for split, window in job.impressions.windows.items():
        inside = pc.and_(pc.greater_equal(log[schema.window], window.bounds[0]),
                         pc.less(log[schema.window], window.bounds[1]))
        _write_split(job, split, log.filter(inside).combine_chunks(), side, vocabularies)


def _good(log: pa.Table, job: Job) -> pa.ChunkedArray:
    schema = job.schema
    user, label = log[schema.user.column], log[schema.label]
    item = log[schema.item.column].cast(pa.string())
    checks = [pc.greater_equal(user, 0), pc.greater(pc.binary_length(item), 0), pc.is_valid(log[schema.time]),
              pc.is_valid(log[schema.window]), pc.is_in(label, pa.array([0, 1], label.type))]
    return functools.reduce(pc.and_, checks).fill_null(False)


def _write_split(job: Job, split: str, log: pa.Table, side: dict[str, pa.Table], vocabularies: IdLookups) -> None:
    schema = job.schema
    user, item = log[schema.user.column].chunk(0), log[schema.item.column].chunk(0)
    place = {"users": pc.index_in(user, side["users"][schema.user.column]),
             "items": pc.index_in(item.dictionary, side["items"][schema.item.column]).take(item.indices)}
    hashes = combine(combine(hash_ids(user), _of_distinct(hash_ids, item)), hash_ids(log[schema.time].chunk(0)))
    rows = {"user_id": user, "item_id": item.cast(pa.string()), "user": vocabularies.lookup("user", user),
            "item": vocabularies.lookup("item", item), "label": log[schema.label].cast(pa.float32()).chunk(0)}
    for feature in schema.features:
        if feature.source == "impressions":
            values = log[feature.source_column].chunk(0)
            hashes = combine(hashes, _feature_hash(values, feature))
        else:
            values = side[feature.source][feature.source_column].chunk(0).take(place[feature.source])
        rows[feature.name] = (vocabularies.lookup(feature.name, values) if feature.record_column.is_category
                              else values.fill_null(float("nan")))
    _write_shards(job, split, hashes, rows)


def _of_distinct(function: Callable[[pa.Array], np.ndarray], column: pa.DictionaryArray) -> np.ndarray:
    return function(column.dictionary)[column.indices.to_numpy(zero_copy_only=False)]


def _feature_hash(values: pa.Array, feature: Feature) -> np.ndarray:
    if feature.record_column.is_category:
        return _of_distinct(hash_ids, values)
    return hash_ids(values.fill_null(float("nan")).to_numpy(zero_copy_only=False).view(np.int32))


def _write_shards(job: Job, split: str, hashes: np.ndarray, rows: dict[str, Any]) -> None:
    import tensorflow as tf  # noqa: PLC0415

    types = {"int64": pa.int64(), "float32": pa.float32(), "string": pa.string()}
    shard_of = hashes % np.uint64(SHARDS)
    order = np.lexsort((hashes, shard_of))
    ends = np.searchsorted(shard_of[order], np.arange(SHARDS + 1))
    for shard in range(SHARDS):
        chosen = order[ends[shard]:ends[shard + 1]]
        columns = {name: pa.array(values).take(pa.array(chosen)) for name, values in rows.items()}
        columns["key"] = pa.array(unique_keys(hashes[chosen]))
        records = encode_examples({name: columns[name].cast(types[dtype])
                                   for name, dtype in impression_columns(job.schema).items()})
        path = Path(job.path(shard_path(f"impressions/{split}", shard, SHARDS)))
        path.parent.mkdir(parents=True, exist_ok=True)
        data, offsets = records.data.tobytes(), records.offsets.tolist()
        with tf.io.TFRecordWriter(str(path)) as writer:
            for start, end in itertools.pairwise(offsets):
                writer.write(data[start:end])


def count_arrow(job: Job) -> None:
    """Counts each item id with this project's transform."""
    path = _path(job, "impressions")

    def build(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | beam.Create(range(pq.ParquetFile(path).num_row_groups))
            | beam.Reshuffle()
            | beam.FlatMap(_row_group, path, job.schema.item.column).with_output_types(tuple[str, pa.Array])
            | CountValues(MIN_BUCKETS)
            | beam.MapTuple(lambda _, counts: [counts.num_rows, int(pc.sum(counts["count"]).as_py())])
            | beam.CombineGlobally(lambda parts: [sum(numbers) for numbers in zip((0, 0), *parts, strict=True)])
            | WriteJson(job.path(TEMPORARY_RESULTS))
        )
    run_pipeline(build, pipeline_options([]))


def _row_group(group: int, path: str, column: str) -> Iterator[tuple[str, pa.Array]]:
    for chunk in pq.ParquetFile(path).read_row_group(group, columns=[column])[column].chunks:
        yield column, chunk


def count_rows(job: Job) -> None:
    """Counts each item id with ``CombinePerKey`` over rows."""
    column = job.schema.item.column

    def build(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | beam.io.ReadFromParquet(_path(job, "impressions"), columns=[column])
            | beam.Map(lambda row: (row[column], 1))
            | beam.CombinePerKey(sum)
            | beam.Values()
            | beam.CombineGlobally(_DistinctAndTotal())
            | WriteJson(job.path(TEMPORARY_RESULTS))
        )
    run_pipeline(build, pipeline_options([]))


class _DistinctAndTotal(beam.CombineFn):
    def create_accumulator(self) -> list[int]:
        return [0, 0]

    def add_input(self, accumulator: list[int], count: int) -> list[int]:
        return [accumulator[0] + 1, accumulator[1] + count]

    def merge_accumulators(self, accumulators: Any) -> list[int]:
        return [sum(column) for column in zip(*accumulators, strict=True)]

    def extract_output(self, accumulator: list[int]) -> list[int]:
        return accumulator


CONTENDERS: dict[str, Callable[[Job], None]] = {
    "job": job_of_this_project, "row job": rows_through_beam, "pyarrow": pyarrow_alone,
    "count": count_arrow, "count rows": count_rows,
}
NEEDS_TENSORFLOW = ("row job", "pyarrow")
