"""A ranker trained on the planted logs."""

import pytest
from live_servers import live_server

from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.serving.export import export


@pytest.fixture(scope="session")
def ranker_folder(tmp_path_factory, planted_config, tiny_dataset):
    folder = tmp_path_factory.mktemp("ranker") / "scratch"
    train_arm(planted_config, tiny_dataset, "scratch", folder, embeddings=None)
    return folder


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory, planted_config, tiny_dataset, ranker_folder):
    """Folder of models with versions 1 and 2 of one model, whose scores differ. Read-only."""
    models = tmp_path_factory.mktemp("two") / "models"
    other = models.parent / "other"
    changed = planted_config.model_copy(update={"seed": planted_config.seed + 1})
    train_arm(changed, tiny_dataset, "scratch", other, embeddings=None)
    for folder in (ranker_folder, other):
        export(planted_config, tiny_dataset, folder, models)
    return models


@pytest.fixture(scope="module")
def live(two_versions, tmp_path_factory):
    """A server of the model's version 1, to which tests may do nothing that lasts."""
    with live_server(two_versions, tmp_path_factory.mktemp("live"), versions=[1]) as running:
        yield running
