"""Deterministic shards: which rows a file holds and in which order depends on the rows alone.

Rows go to shard ``hash % shards`` and are sorted by hash, then by every other column, so that neither the input's
order nor batch sizes nor the runner show in the bytes.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_pipelines.example import Records
from beam_pipelines.tfrecord import write_tfrecord
from tfrs_pretrain.data.dataset import shard_path

HASH = "@hash"


class WriteShards(beam.PTransform):
    """``(split, batch with a uint64 column @hash)`` -> files, one summary element per file.

    Args:
      folder: dataset folder.
      splits: every split that gets files, empty ones included.
      shards: files per split.
      encode: sorted rows of a shard -> chunks of records.
      measure: the same rows -> additive counts, for the summary.
    """

    def __init__(self, folder: str, splits: tuple[str, ...], shards: int, *,
                 encode: Callable[[pa.Table], Iterator[Records]], measure: Callable[[pa.Table], dict[str, int]]):
        super().__init__()
        self._folder, self._splits, self._shards = folder, splits, shards
        self._encode, self._measure = encode, measure

    def expand(self, batches: beam.PCollection[tuple[str, pa.RecordBatch]]) -> beam.PCollection[dict[str, Any]]:
        keys = [((split, shard), None) for split in self._splits for shard in range(self._shards)]
        every_shard = batches.pipeline | "EveryShard" >> beam.Create(keys)
        sharded = batches | "AssignShards" >> beam.FlatMapTuple(functools.partial(_assign, shards=self._shards))
        return (
            (sharded, every_shard)
            | "WithEmptyShards" >> beam.Flatten()
            | "Typed" >> beam.Map(lambda element: element).with_output_types(tuple[tuple[str, int], Any])
            | "GroupShards" >> beam.GroupByKey()
            | "WriteShard" >> beam.MapTuple(functools.partial(
                _write, folder=self._folder, shards=self._shards, encode=self._encode, measure=self._measure))
            .with_output_types(dict[str, Any])
        )


def _assign(split: str, batch: pa.RecordBatch, shards: int) -> Iterator[tuple[tuple[str, int], pa.RecordBatch]]:
    numbers = batch[HASH].to_numpy() % np.uint64(shards)
    for shard in np.unique(numbers):
        yield (split, int(shard)), batch.filter(pa.array(numbers == shard))


def _write(key: tuple[str, int], batches: Iterable[pa.RecordBatch | None], folder: str, shards: int,
           encode: Callable[[pa.Table], Iterator[Records]], measure: Callable[[pa.Table], dict[str, int]]
           ) -> dict[str, Any]:
    split, shard = key
    filled = [batch for batch in batches if batch is not None]
    rows = in_order(pa.Table.from_batches(filled)) if filled else None
    path = shard_path(split, shard, shards)
    summary = write_tfrecord(f"{folder}/{path}", encode(rows) if rows else [])
    return {"split": split, "path": path, "examples": rows.num_rows if rows else 0, **dataclasses.asdict(summary),
            "measures": measure(rows) if rows else {}}


def in_order(rows: pa.Table) -> pa.Table:
    """Rows by hash; rows of equal hash by their other columns, in the table's column order."""
    # A list is decided by the other columns, and has no order.
    others = [field.name for field in rows.schema if field.name != HASH and not pa.types.is_list(field.type)]
    return rows.take(pc.sort_indices(rows, [(name, "ascending") for name in [HASH, *others]])).combine_chunks()


def splits_summary(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Split -> examples, shards and added-up measures, from the elements of ``WriteShards`` in any order."""
    splits: dict[str, Any] = {}
    for file in sorted(files, key=lambda file: file["path"]):
        entry = splits.setdefault(file["split"], {"examples": 0, "shards": [], "measures": {}})
        entry["examples"] += file["examples"]
        for name, value in file["measures"].items():
            entry["measures"][name] = entry["measures"].get(name, 0) + value
        entry["shards"].append({name: file[name] for name in ("path", "bytes", "records", "examples", "crc32c")})
    return splits
