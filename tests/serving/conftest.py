"""A ranker trained on the planted logs."""

import pytest

from tfrs_pretrain.ranking.run import train_arm


@pytest.fixture(scope="session")
def ranker_folder(tmp_path_factory, planted_config, tiny_dataset):
    folder = tmp_path_factory.mktemp("ranker") / "scratch"
    train_arm(planted_config, tiny_dataset, "scratch", folder, embeddings=None)
    return folder
