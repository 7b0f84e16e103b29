"""The ranker from scratch that an arm with pretrained rows is compared with: found beside the output, or named."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.cli import app
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import save_embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.benefit.scratch_ranker import find_scratch_ranker, open_scratch_ranker

ARMS = "ranking.arms={scratch: {}, slow: {table_learning_rate: 1.0e-6}, frozen: {transfer: frozen}}"


@pytest.fixture(scope="module")
def command(planted, tmp_path_factory):
    """Train an arm in a folder; rows of noise are pretrained: ``command(folder, arm, *options)``."""
    rows, random = tmp_path_factory.mktemp("noise") / "rows", np.random.default_rng(0)
    noise = {name: random.normal(0, 3, table.shape).astype(np.float32)
             for name, table in (("user", planted.users), ("item", planted.items))}
    save_embeddings(rows, noise, {name: planted.dataset.vocabulary(name) for name in noise},
                    {"window": {"start": 0, "end": 10}}, overwrite=False)

    def train(folder, arm, *options):
        result = CliRunner().invoke(app, [
            "train-ranker", "--dataset", str(planted.dataset.folder), "--embeddings", str(rows), "--arm", arm,
            "--output", str(folder / arm), "--set", ARMS, "--set", "export.arm=frozen", *options])
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    return train


@pytest.fixture(scope="module")
def trained(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rankers")
    alone = command(folder, "frozen")
    for arm in ("scratch", "slow"):
        command(folder, arm)
    return folder, alone


def test_without_a_ranker_from_scratch_nothing_is_said(trained):
    folder, alone = trained
    assert "Likeliest reason" not in alone
    assert read_manifest(folder / "frozen", "ranker")["against_scratch"] is None


def test_rows_of_noise_lose_to_the_better_neighbour_and_the_line_says_so(trained, command, tmp_path):
    folder, _ = trained
    manifests = {arm: read_manifest(folder / arm, "ranker") for arm in ("scratch", "slow")}
    losses = {arm: manifest["metrics"]["validation"]["log_loss"] for arm, manifest in manifests.items()}
    assert losses["scratch"] < losses["slow"]
    (folder / "damaged" / "predictions").mkdir(parents=True)
    (folder / "damaged" / "predictions" / "validation.parquet").touch()
    (folder / "damaged" / "manifest.json").write_text("{")
    output = command(folder, "frozen", "--overwrite", "--json", str(tmp_path / "out.json"))
    assert "! pretraining loses to scratch on these data: frozen minus " in output
    assert f"{folder / 'scratch'} on validation: AUC -0." in output
    against = read_manifest(folder / "frozen", "ranker")["against_scratch"]
    assert (against["outcome"], against["scratch"]) == ("loses", str(folder / "scratch"))
    assert json.loads((tmp_path / "out.json").read_text())["against_scratch"] == against
    loss = read_manifest(folder / "frozen", "ranker")["metrics"]["validation"]["log_loss"]
    assert against["differences"]["log_loss"]["value"] == pytest.approx(loss - losses["scratch"], abs=1e-6)


def test_a_finished_ranker_is_compared_with_a_named_one_without_training(trained, command):
    folder, _ = trained
    before = (folder / "frozen" / "manifest.json").read_bytes()
    output = command(folder, "frozen", "--baseline", str(folder / "slow"))
    assert f"frozen minus {folder / 'slow'} on validation" in output
    assert (folder / "frozen" / "manifest.json").read_bytes() == before


def test_only_rankers_of_the_same_dataset_and_settings_are_found(trained, planted, tmp_path):
    from tfrs_pretrain.config import Config

    folder, _ = trained
    tree = read_manifest(folder / "scratch", "ranker")["config"]
    config = Config.model_validate(tree)
    assert find_scratch_ranker(folder / "new", planted.dataset, config) == folder / "scratch"
    assert find_scratch_ranker(folder / "scratch", planted.dataset, config) == folder / "slow"
    assert find_scratch_ranker(tmp_path / "new", planted.dataset, config) is None
    assert find_scratch_ranker(tmp_path / "none" / "new", planted.dataset, config) is None
    other = Config.model_validate(tree | {"ranking": tree["ranking"] | {"hidden": [4]}})
    assert find_scratch_ranker(folder / "new", planted.dataset, other) is None
    rebuilt = Dataset(planted.dataset.folder, planted.dataset.info | {"built": "again"})
    assert find_scratch_ranker(folder / "new", rebuilt, config) is None
    with pytest.raises(UserError, match="was trained on another dataset than"):
        open_scratch_ranker(folder / "scratch", rebuilt)
    with pytest.raises(UserError, match="is arm 'frozen', which does not train from scratch alone"):
        open_scratch_ranker(folder / "frozen", planted.dataset)


def test_a_named_baseline_is_checked_before_training(trained, command, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "scratch", tmp_path / "scratch")
    (tmp_path / "scratch" / "predictions" / "validation.parquet").unlink()
    with pytest.raises(AssertionError):
        command(tmp_path, "frozen", "--baseline", str(tmp_path / "scratch"))
    assert not (tmp_path / "frozen").exists()
