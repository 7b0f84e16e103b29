"""Predictions of a trained ranker on another dataset, such as last week's model on this week's log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifact_names import RANKER_KIND
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.data.dataset import Dataset, impression_columns, list_columns
from tfrs_pretrain.data.impressions import checked_reading
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.evaluation.predictions import Predictions, Reader, find_ranker
from tfrs_pretrain.json_documents import json_digest
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.predict import predict


def scoring(datasets: Sequence[Dataset]) -> Reader:
    """Return a reader that computes predictions instead of reading stored ones.

    Table rows have a meaning only with the vocabularies that a ranker was trained with (``build_impressions
    --vocabulary``), so each ranker scores the first dataset built with its vocabularies. To compare two rankers, give
    the same impressions built with the vocabularies of each. The reader raises UserError if no dataset fits or its
    records are damaged.
    """

    def read(folder: Path, split: str, label: str) -> Predictions:
        source, ranker = find_ranker(folder)
        dataset = _fitting(ranker, datasets)
        name = f"impressions/{split}"
        if name not in dataset.info["splits"]:
            available = [split.rpartition("/")[2] for split in dataset.info["splits"]]
            raise UserError(f"dataset {str(dataset.folder)!r} has no impressions of split {split!r}, it has "
                            f"{available}: name one of these, or build it with more --splits")
        loaded = load_ranker(ranker, dataset)
        title = f"score {split}: {source['arm']}"
        total = dataset.num_examples(name)
        with checked_reading(dataset, name), progress(title, total=total, unit="impressions") as meter:
            table = predict(loaded, dataset, name, meter=meter)
        source = {**source, "dataset_digest": json_digest(dataset.info), "scored_on": str(dataset.folder)}
        return Predictions(source, table, label).checked()

    return read


def _fitting(ranker: Path, datasets: Sequence[Dataset]) -> Dataset:
    """Return the first dataset that the ranker can read."""
    manifest = read_manifest(ranker, RANKER_KIND)
    problems = []
    for dataset in datasets:
        problem = _misfit(manifest, dataset)
        if problem is None:
            return dataset
        problems.append(f"{str(dataset.folder)!r} {problem}")
    raise UserError(f"ranker {str(ranker)!r} cannot score {', nor '.join(problems)}: build these impressions with the "
                    "vocabularies of the dataset that it was trained on (python -m beam_pipelines.build_impressions "
                    "--vocabulary DATASET)")


def _misfit(manifest: dict[str, Any], dataset: Dataset) -> str | None:
    """Explain why the ranker cannot read the dataset; None if it can."""
    inputs, digests = Inputs.from_json(manifest["inputs"]), manifest["vocabularies"]
    other = [name for name in inputs.tables.values() if digests[name] != dataset.digests.get(name)]
    if other:
        return f"(another vocabulary {other[0]!r} than it was trained with)"
    lists = list_columns(dataset.schema)
    known = impression_columns(dataset.schema) | lists
    needed = [*inputs.columns, *manifest["labels"]]
    missing = [name for name in needed if name not in known]
    if missing:
        return f"(no column {missing[0]!r})"
    lengths = [row for row in inputs.rows if row.length != lists.get(row.column)]
    if lengths:
        return f"(lists {lengths[0].column!r} of another length)"
    return None
