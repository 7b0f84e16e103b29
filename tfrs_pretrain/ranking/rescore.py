"""Predictions of a trained ranker on another dataset than its own, such as last week's model on this week's log."""

from __future__ import annotations

from pathlib import Path

from tfrs_pretrain.artifacts import json_digest
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.impressions import reading
from tfrs_pretrain.evaluation.predictions import Predictions, Reader, find_ranker
from tfrs_pretrain.progress import progress
from tfrs_pretrain.ranking.artifact import load_ranker
from tfrs_pretrain.ranking.predict import predict


def scoring(dataset: Dataset) -> Reader:
    """A reader that lets each ranker score the dataset's impressions.

    The dataset must have been built with the ranker's vocabularies (``build_impressions --vocabulary``). The reader
    raises UserError where it was not, or where its records are damaged.
    """

    def read(folder: Path, split: str, label: str) -> Predictions:
        source, ranker = find_ranker(folder)
        name = f"impressions/{split}"
        loaded = load_ranker(ranker, dataset)
        title = f"score {split}: {source['arm']}"
        with reading(dataset, name), progress(title, total=dataset.examples(name), unit="impressions") as meter:
            table = predict(loaded, dataset, name, meter=meter)
        scored_on = {"dataset_digest": json_digest(dataset.info), "scored_on": str(dataset.folder)}
        return Predictions(source | scored_on, table, label).checked()

    return read
