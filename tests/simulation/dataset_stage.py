"""The dataset stage without pipelines: its transforms and writers are called directly, one after another."""

import dataclasses
import functools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from shop import Shop

from beam_pipelines import build_impressions, build_pairs, build_vocabulary
from beam_pipelines.jobs.job import Job
from beam_pipelines.launching.dataset_info import add_rates, summarize_splits
from beam_pipelines.launching.finish_folder import finish_folder
from beam_pipelines.launching.finished_job import finished_or_refused, job_digest, write_digest
from beam_pipelines.launching.output_folder import output_folder
from beam_pipelines.logs.cleaning import FILE, POSITION
from beam_pipelines.logs.duplicates import _KeepFirst
from beam_pipelines.logs.keys import TIME
from beam_pipelines.records.row_order import sort_rows
from beam_pipelines.records.shards import _write_shard
from beam_pipelines.transforms.golden import write_golden
from beam_pipelines.transforms.id_lookups import IdLookups
from beam_pipelines.transforms.vocabularies import (
    Vocabularies,
    check_vocabularies,
    extension_changes,
    vocabulary_info,
)
from beam_pipelines.transforms.vocabulary_order import sort_bucket
from tfrs_pretrain.artifact_names import DATASET_KIND
from tfrs_pretrain.data.dataset import pair_columns
from tfrs_pretrain.schema import HISTORY, ITEM_ID, ITEM_ROW, LABEL, USER_ID, USER_ROW
from tfrs_pretrain.value_types import ARROW_TYPES

HISTORY_LENGTH = 3


def build_dataset(shop: Shop, week: int, output: Path, extend: Path | None):
    """Builds the dataset of a week, as ``beam_pipelines.launching.launch.run_steps`` does; returns its manifest."""
    job = Job(shop.config(week), str(shop.root / "raw"), str(output), extend=extend and str(extend),
              splits=("train", "validation"))
    state = {"log": {name: (len(events), len(events) + 1) for name, events in shop.visible.items()}}
    finished = finished_or_refused(job.folder, DATASET_KIND, lambda: job_digest(job, DATASET_KIND, state),
                                   overwrite=False)
    if finished:
        return finished
    if job.extend:
        check_vocabularies(job, job.extend)
    batches, clicks = _cleaned(job, shop.read_log())
    with output_folder(job.folder, overwrite=False) as stage:
        job = dataclasses.replace(job, folder=stage.folder)
        write_digest(stage.folder, job_digest(job, DATASET_KIND, state))
        _write_vocabularies(job, batches["pretrain"])
        lookups = IdLookups.open(job)
        shards = [*_write_pairs(job, lookups, batches.pop("pretrain")),
                  *_write_impressions(job, lookups, batches, clicks)]
        stage.check()
        return finish_folder(job.folder, DATASET_KIND, _info(job, Vocabularies.load(job), shards))


def _info(job, vocabularies, shards):
    extended = {"extended": vocabulary_info(job.extend)["vocabularies"],
                "lifecycle": extension_changes(job, vocabularies)} if job.extend else {}
    splits = {name: add_rates(split) for name, split in summarize_splits(shards).items()}
    for name in splits.keys() - {"pairs/train", "pairs/heldout"}:
        splits[name]["missing"] = {HISTORY: splits[name].pop("empty_histories", 0)}
    return {"config": job.config.resolved(), "vocabularies": vocabularies.describe(), "numeric": {}, **extended,
            "splits": splits, "pair_columns": pair_columns(job.schema), "relations": [],
            "impressions_format": job.config.dataset.impressions_format,
            "engagements_end": job.config.windows.pretrain.bounds[1]}


def _cleaned(job, rows):
    """Selects windows and rejects duplicates. Returns window -> batch, and all clicked events before the last one."""
    bounds = {name: getattr(job.config.windows, name).bounds for name in ("pretrain", "train", "validation")}
    rows = [row for row in rows if row[2].day < bounds["validation"][1]]
    parts = [(split, _batch(job.schema, [row for row in rows if start <= row[2].day < end
                                         and (row[2].clicked or split != "pretrain")]))
             for split, (start, end) in bounds.items()]
    outputs = _KeepFirst(job.impressions).process((0, [part for part in parts if part[1].num_rows]))
    batches = dict(each for each in outputs if isinstance(each, tuple))
    empty = _batch(job.schema, [])
    empty = empty.select([name for name in empty.schema.names if name not in (FILE, POSITION)])
    return {split: batches.get(split, empty) for split in bounds}, [row[2] for row in rows if row[2].clicked]


def _batch(schema, rows):
    events = [row[2] for row in rows]
    return pa.RecordBatch.from_pydict({
        USER_ID: pa.array([event.user for event in events], ARROW_TYPES[schema.user.dtype]),
        ITEM_ID: pa.array([event.item for event in events], pa.string()),
        TIME: pa.array([event.day for event in events], pa.int64()),
        FILE: pa.array([row[0] for row in rows], pa.string()),
        POSITION: pa.array([row[1] for row in rows], pa.int64()),
        LABEL: pa.array([event.clicked for event in events], pa.float32())})


def _write_vocabularies(job, batch):
    for name, column in build_vocabulary.select_ids("pretrain", batch):
        counted = pc.value_counts(column)
        table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
        counts = SimpleNamespace(read=lambda name=name, table=table: sort_bucket(name, table, job)[1])
        build_vocabulary.write_vocabulary(name, [counts], job)


def _write_pairs(job, lookups, batch):
    columns = {"@hash": build_pairs.event_hash(batch), "query": lookups.lookup("user", batch[USER_ID]),
               "candidate": lookups.lookup("item", batch[ITEM_ID])}
    encode = functools.partial(build_pairs.encode_pairs, pairs_per_block=job.config.dataset.pairs_per_block,
                               columns=("query", "candidate"))
    measure = functools.partial(build_pairs.measure_pairs, user_oov_rows=job.schema.user.oov_rows,
                                item_oov_rows=job.schema.item.oov_rows)
    Path(job.path("pairs")).mkdir()
    build_pairs.write_probability(np.unique(columns["candidate"], return_counts=True), job,
                                  SimpleNamespace(get=lambda: lookups))
    return [_write_shard(("pairs/train", 0, 1), [pa.RecordBatch.from_pydict(columns)], job.folder, False, encode,
                         measure)]


def _write_impressions(job, lookups, splits, clicks):
    encode = functools.partial(build_impressions.encode_impressions, config=job.config)
    measure = functools.partial(build_impressions.measure_impressions, schema=job.schema)
    Path(job.path("impressions")).mkdir()
    shards = []
    for split, batch in splits.items():
        _, hashed = build_impressions.add_hash(split, batch, job.impressions)
        raw = _histories(hashed, clicks)
        columns = dict(zip(hashed.schema.names, hashed.columns, strict=True))
        columns |= {USER_ROW: lookups.lookup("user", hashed[USER_ID]),
                    ITEM_ROW: lookups.lookup("item", hashed[ITEM_ID]), HISTORY: _rows_of(lookups, raw)}
        shards.append(_write_shard((f"impressions/{split}", 0, 1), [pa.RecordBatch.from_pydict(columns)], job.folder,
                                   False, encode, measure))
        if split == "validation":
            table = pa.Table.from_batches([hashed]).append_column(HISTORY, pa.array(raw, pa.list_(pa.string())))
            write_golden(sort_rows(table).slice(0, job.config.dataset.golden_examples), job)
    return shards


def _rows_of(lookups, lists):
    flat = pa.array([item for items in lists for item in items], pa.string())
    offsets = np.cumsum([0, *map(len, lists)])
    rows = lookups.lookup("item", flat).astype(np.int64)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(rows))


def _histories(batch, clicks):
    """The last items that the user of each impression engaged with before it."""
    lists = []
    for user, day in zip(batch[USER_ID].to_pylist(), batch[TIME].to_pylist(), strict=True):
        items = sorted({(event.day, event.item) for event in clicks if event.user == user and event.day < day})
        lists.append([item for _, item in items[-HISTORY_LENGTH:]])
    return lists
