"""Deterministic shards: the rows of a file and their order depend on the rows alone.

A row belongs to shard ``hash % num_shards``. The rows of a shard are sorted by hash, then by all other columns.
Therefore the bytes depend neither on the order of the input, nor on batch sizes, nor on the runner. The number of
shards depends on the rows too, unless the configuration fixes it.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.records.partitions import PartitionByHash, PartKey
from beam_pipelines.records.record_buffer import RecordBuffer
from beam_pipelines.records.row_order import HASH, SmallestHashes, sort_rows
from beam_pipelines.records.tfrecord_writer import frame_records, write_tfrecord
from tfrs_pretrain.config import DatasetConfig
from tfrs_pretrain.data.dataset import shard_path

SAMPLE_ROWS = 1024  # rows that are encoded to estimate the size of a row

Encode = Callable[[pa.Table], Iterator[RecordBuffer]]


class WriteShards(beam.PTransform):
    """Writes ``(split, batch with a uint64 column @hash)`` to TFRecord files; returns one summary dict per file.

    A worker loads one shard at a time. So its memory is limited by the size of a shard, however skewed the data.

    Args:
      folder: dataset folder.
      splits: every split to write, including empty ones.
      dataset: size or number of shards, and compression.
      encode: sorted rows of a shard -> chunks of records.
      measure: the same rows -> counts for the summary, which are added up over shards.
    """

    def __init__(self, folder: str, splits: tuple[str, ...], dataset: DatasetConfig, *, encode: Encode,
                 measure: Callable[[pa.Table], dict[str, int]]):
        super().__init__()
        self._folder, self._splits, self._dataset = folder, splits, dataset
        self._encode, self._measure = encode, measure

    def expand(self, split_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]) -> beam.PCollection[dict[str, Any]]:
        num_shards: Any = dict.fromkeys(self._splits, self._dataset.shards)
        all_splits = split_to_batch.pipeline | "CreateSplits" >> beam.Create([self._splits])
        if self._dataset.shards is None:
            num_shards = beam.pvalue.AsSingleton(split_to_batch | "CountShards" >> CountShards(
                self._splits, self._dataset.shard_bytes, self._encode))
        shard_to_batch = split_to_batch | "AssignShards" >> beam.ParDo(
            PartitionByHash(_get_hashes), num_shards).with_output_types(tuple[PartKey, Any])
        shard_to_none = all_splits | "ListShards" >> beam.FlatMap(_list_shards, num_shards).with_output_types(
            tuple[PartKey, Any])
        return (
            (shard_to_batch, shard_to_none)
            | "AddEmptyShards" >> beam.Flatten()
            | "GroupByShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.MapTuple(functools.partial(
                _write_shard, folder=self._folder, compressed=self._dataset.compression == "gzip",
                encode=self._encode, measure=self._measure))
            .with_output_types(dict[str, Any])
        )


class CountShards(beam.PTransform):
    """Computes the number of files of about ``shard_bytes`` for each split: one dict split -> number, at least 1.

    The mean encoded size of the SAMPLE_ROWS rows of smallest hash estimates the size of a row. This sample is
    arbitrary but always the same.
    """

    def __init__(self, splits: tuple[str, ...], shard_bytes: int, encode: Encode):
        super().__init__()
        self._splits, self._shard_bytes, self._encode = splits, shard_bytes, encode

    def expand(self, split_to_batch: beam.PCollection[tuple[str, pa.RecordBatch]]) -> beam.PCollection[dict[str, int]]:
        split_to_num_rows = (
            split_to_batch
            | "GetNumRows" >> beam.MapTuple(lambda split, batch: (split, batch.num_rows)).with_output_types(
                tuple[str, int])
            | "SumNumRows" >> beam.CombinePerKey(sum)
        )
        split_to_sample = split_to_batch | "SampleRows" >> beam.CombinePerKey(SmallestHashes(SAMPLE_ROWS))
        return (
            {"num_rows": split_to_num_rows, "sample": split_to_sample}
            | "JoinBySplit" >> beam.CoGroupByKey()
            | "ComputeNumShards" >> beam.MapTuple(functools.partial(
                _num_shards, shard_bytes=self._shard_bytes, encode=self._encode)).with_output_types(tuple[str, int])
            | "GatherSplits" >> beam.combiners.ToDict()
            | "AddEmptySplits" >> beam.Map(lambda numbers, splits: dict.fromkeys(splits, 1) | numbers, self._splits)
        )


def _num_shards(split: str, joined: dict[str, Iterable[Any]], shard_bytes: int, encode: Encode) -> tuple[str, int]:
    [num_rows], [sample] = joined["num_rows"], joined["sample"]
    size = sum(len(frame_records(chunk)) for chunk in encode(sort_rows(sample)))
    return split, max(1, math.ceil(num_rows * size / sample.num_rows / shard_bytes))


def _list_shards(splits: tuple[str, ...], num_shards: dict[str, int]) -> Iterator[tuple[PartKey, None]]:
    for split in splits:
        for shard in range(num_shards[split]):
            yield (split, shard, num_shards[split]), None


def _get_hashes(batch: pa.RecordBatch) -> np.ndarray:
    hashes: np.ndarray = batch[HASH].to_numpy()
    return hashes


def _write_shard(key: PartKey, batches: Iterable[pa.RecordBatch | None], folder: str, compressed: bool, encode: Encode,
                 measure: Callable[[pa.Table], dict[str, Any]]) -> dict[str, Any]:
    split, shard, num_shards = key
    filled = [batch for batch in batches if batch is not None]
    table = sort_rows(pa.Table.from_batches(filled)) if filled else None
    path = shard_path(split, shard, num_shards, compressed=compressed)
    summary = write_tfrecord(f"{folder}/{path}", encode(table) if table else [])
    return {"split": split, "path": path, "examples": table.num_rows if table else 0, **dataclasses.asdict(summary),
            "measures": measure(table) if table else {}}


def summarize_splits(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Combines the summaries of ``WriteShards``, in any order, into split -> examples, shards and summed measures."""
    splits: dict[str, Any] = {}
    for file in sorted(files, key=lambda file: file["path"]):
        entry = splits.setdefault(file["split"], {"examples": 0, "shards": [], "measures": {}})
        entry["examples"] += file["examples"]
        for name, value in file["measures"].items():
            entry["measures"][name] = entry["measures"].get(name, 0) + value
        entry["shards"].append({name: file[name] for name in ("path", "bytes", "records", "examples", "crc32c")})
    return splits
