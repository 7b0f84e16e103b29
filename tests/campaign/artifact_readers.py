"""Reads the outputs of stages as their users do; called in forks by ``forked_commands.py``."""

import sys
from pathlib import Path

from tfrs_pretrain.errors import UserError


def _reporting(function):
    """The function with a UserError printed as the command line prints it."""
    def read(path):
        try:
            function(Path(path))
        except UserError as error:
            sys.exit(f"error: {error}")

    return read


@_reporting
def dataset(path):
    from tfrs_pretrain.data.dataset import Dataset

    opened = Dataset.open(path)
    for name in opened.schema.id_spaces:
        assert opened.vocabulary(name).num_rows
    for split in ("pairs/train", "impressions/train", "impressions/validation", "impressions/test"):
        assert all(Path(file).is_file() for file in opened.files(split))


@_reporting
def embeddings(path):
    from tfrs_pretrain.embeddings.artifact import Embeddings

    opened = Embeddings.open(path)
    for name in opened.tables:
        assert len(opened.matrix(name)) == opened.vocabulary(name).num_rows


@_reporting
def ranker(path):
    from tfrs_pretrain.evaluation.predictions import Predictions

    assert Predictions.open(path, "test", "label").table.num_rows


@_reporting
def index(path):
    from tfrs_pretrain.retrieval.artifact import ItemIndex

    ItemIndex.open(path)


@_reporting
def versions(path):
    from tfrs_pretrain.serving.version_folder import read_version

    for folder in path.glob("[0-9]*"):
        assert read_version(folder) and (folder / "saved_model.pb").is_file()


@_reporting
def labels(path):
    from tfrs_pretrain.serving.labels.models_config import model_entry

    assert dict(model_entry(path, "planted_ranker").version_labels)["stable"] in (1, 2)
