"""Deterministic shards: which rows a file holds and in which order depends on the rows alone.

Rows go to shard ``hash % shards`` and are sorted by hash, then by every other column, so that neither the input's
order nor batch sizes nor the runner show in the bytes. How many shards a split has follows from its rows, too.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_pipelines.records.example_encoder import RecordBuffer
from beam_pipelines.records.row_order import HASH, SmallestHashes, sort_rows
from beam_pipelines.records.tfrecord_writer import frame, write_tfrecord
from tfrs_pretrain.config import DatasetConfig
from tfrs_pretrain.data.dataset import shard_path

SAMPLE_ROWS = 1024  # rows that are encoded to learn how large one is

Encode = Callable[[pa.Table], Iterator[RecordBuffer]]
ShardKey = tuple[str, int, int]  # split, shard, shards of the split


class WriteShards(beam.PTransform):
    """``(split, batch with a uint64 column @hash)`` -> files, one summary element per file.

    A worker holds one shard at a time: its memory is bounded by their size, whichever users and items are hot.

    Args:
      folder: dataset folder.
      splits: every split that gets files, empty ones included.
      dataset: size or number of shards, and compression.
      encode: sorted rows of a shard -> chunks of records.
      measure: the same rows -> additive counts, for the summary.
    """

    def __init__(self, folder: str, splits: tuple[str, ...], dataset: DatasetConfig, *, encode: Encode,
                 measure: Callable[[pa.Table], dict[str, int]]):
        super().__init__()
        self._folder, self._splits, self._dataset = folder, splits, dataset
        self._encode, self._measure = encode, measure

    def expand(self, batches: beam.PCollection[tuple[str, pa.RecordBatch]]) -> beam.PCollection[dict[str, Any]]:
        numbers: Any = dict.fromkeys(self._splits, self._dataset.shards)
        start = batches.pipeline | "Splits" >> beam.Create([self._splits])
        if self._dataset.shards is None:
            numbers = beam.pvalue.AsSingleton(batches | "CountShards" >> CountShards(
                self._splits, self._dataset.shard_bytes, self._encode))
        sharded = batches | "AssignShards" >> beam.FlatMap(_assign, numbers).with_output_types(tuple[ShardKey, Any])
        every_shard = start | "EveryShard" >> beam.FlatMap(_every_shard, numbers).with_output_types(
            tuple[ShardKey, Any])
        return (
            (sharded, every_shard)
            | "WithEmptyShards" >> beam.Flatten()
            | "GroupShards" >> beam.GroupByKey()
            | "WriteShard" >> beam.MapTuple(functools.partial(
                _write, folder=self._folder, compressed=self._dataset.compression == "gzip", encode=self._encode,
                measure=self._measure))
            .with_output_types(dict[str, Any])
        )


class CountShards(beam.PTransform):
    """``(split, batch)`` -> one element: split -> number of files of about ``shard_bytes`` each, at least 1.

    The size of a row is that of the SAMPLE rows of smallest hash: any rows, and always the same.
    """

    def __init__(self, splits: tuple[str, ...], shard_bytes: int, encode: Encode):
        super().__init__()
        self._splits, self._shard_bytes, self._encode = splits, shard_bytes, encode

    def expand(self, batches: beam.PCollection[tuple[str, pa.RecordBatch]]) -> beam.PCollection[dict[str, int]]:
        rows = (
            batches
            | "Rows" >> beam.MapTuple(lambda split, batch: (split, batch.num_rows)).with_output_types(tuple[str, int])
            | "CountRows" >> beam.CombinePerKey(sum)
        )
        samples = batches | "Sample" >> beam.CombinePerKey(SmallestHashes(SAMPLE_ROWS))
        return (
            {"rows": rows, "samples": samples}
            | "BySplit" >> beam.CoGroupByKey()
            | "Shards" >> beam.MapTuple(functools.partial(
                _shards, shard_bytes=self._shard_bytes, encode=self._encode)).with_output_types(tuple[str, int])
            | "AllSplits" >> beam.combiners.ToDict()
            | "WithEmptySplits" >> beam.Map(lambda numbers, splits: dict.fromkeys(splits, 1) | numbers, self._splits)
        )


def _shards(split: str, found: dict[str, Iterable[Any]], shard_bytes: int, encode: Encode) -> tuple[str, int]:
    [rows], [sample] = found["rows"], found["samples"]
    size = sum(len(frame(chunk)) for chunk in encode(sort_rows(sample)))
    return split, max(1, math.ceil(rows * size / sample.num_rows / shard_bytes))


def _every_shard(splits: tuple[str, ...], numbers: dict[str, int]) -> Iterator[tuple[ShardKey, None]]:
    for split in splits:
        for shard in range(numbers[split]):
            yield (split, shard, numbers[split]), None


def _assign(element: tuple[str, pa.RecordBatch], numbers: dict[str, int]) -> Iterator[tuple[ShardKey, pa.RecordBatch]]:
    split, batch = element
    shards = batch[HASH].to_numpy() % np.uint64(numbers[split])
    for shard in np.unique(shards):
        yield (split, int(shard), numbers[split]), batch.filter(pa.array(shards == shard))


def _write(key: ShardKey, batches: Iterable[pa.RecordBatch | None], folder: str, compressed: bool, encode: Encode,
           measure: Callable[[pa.Table], dict[str, int]]) -> dict[str, Any]:
    split, shard, shards = key
    filled = [batch for batch in batches if batch is not None]
    rows = sort_rows(pa.Table.from_batches(filled)) if filled else None
    path = shard_path(split, shard, shards, compressed=compressed)
    summary = write_tfrecord(f"{folder}/{path}", encode(rows) if rows else [])
    return {"split": split, "path": path, "examples": rows.num_rows if rows else 0, **dataclasses.asdict(summary),
            "measures": measure(rows) if rows else {}}


def summarize_splits(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Split -> examples, shards and added-up measures, from the elements of ``WriteShards`` in any order."""
    splits: dict[str, Any] = {}
    for file in sorted(files, key=lambda file: file["path"]):
        entry = splits.setdefault(file["split"], {"examples": 0, "shards": [], "measures": {}})
        entry["examples"] += file["examples"]
        for name, value in file["measures"].items():
            entry["measures"][name] = entry["measures"].get(name, 0) + value
        entry["shards"].append({name: file[name] for name in ("path", "bytes", "records", "examples", "crc32c")})
    return splits
