"""No flipped bit in any file of any artifact is used: the reader names the file, or reads the same content."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from bit_flips import (
    FAULT,
    Flip,
    Kind,
    attempt,
    document_kinds,
    draw,
    files_of,
    flipped,
    read_best,
    read_checkpoints,
    read_dataset,
    read_embeddings,
    read_exported,
    read_index,
    read_logs,
    read_ranker,
    serve,
    summary,
    write_checkpoints,
)
from made_diagnosis import make_diagnosis
from outcomes import Outcomes
from planted import planted_config as planted_tree

from beam_pipelines.build_dataset import build
from beam_pipelines.transforms.vocabularies import load_finished_vocabulary, vocabulary_info
from tfrs_pretrain.artifacts import write_text
from tfrs_pretrain.config import Config, EarlyStoppingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.experiments.logs.planted import write_planted_logs
from tfrs_pretrain.json_documents import document_text
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.ranking.learning.best_checkpoint import BestCheckpoint
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.run import train_arm
from tfrs_pretrain.retrieval.build import build_index
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.study import Run, StudiedArm, Study

SEED = 20_261_128
SHORT, LONG = 60, 1_000


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    """Every kind of artifact, made by the stages themselves."""
    folder = tmp_path_factory.mktemp("artifacts")
    write_planted_logs(folder / "logs", users=60, items=80, engagements=3000, impressions=2000, seed=3)
    tree = planted_tree()
    tree["dataset"] |= {"shards": 1, "golden_examples": 8}
    tree["pretraining"] |= {"epochs": 1}
    tree["ranking"] |= {"epochs": 1}
    config = Config.model_validate(tree)
    build(config, folder / "logs", folder / "dataset")
    packed = Config.model_validate(tree | {"dataset": tree["dataset"] | {"compression": "gzip"}})
    build(packed, folder / "logs", folder / "packed")
    dataset = Dataset.open(folder / "dataset")
    pretrain(config, dataset, folder / "embeddings")
    train_arm(config, dataset, "warm_start", folder / "ranker", embeddings=folder / "embeddings")
    build_index(Embeddings.open(folder / "embeddings"), folder / "index")
    version = export(config, dataset, folder / "ranker", folder / "models").path
    BestCheckpoint(folder / "best", load_ranker(folder / "ranker", dataset), EarlyStoppingConfig()).update(
        1, {"log_loss": 0.5})
    checkpoints = write_checkpoints(folder / "checkpoints")
    run = Run(7, folder / "ranker", folder / "embeddings", folder / "dataset")
    study = Study(folder, "flips", config, "warm", (StudiedArm("warm", {}, (run,)),), {"all": 1.5}, 7, ("make it",))
    study.save()
    for name, content in (("diagnosis.json", make_diagnosis().to_json()),
                          ("stages.json", {"pretrain": {"seconds": 12.5, "peak_rss_bytes": 1 << 30}}),
                          ("costs.json", {"pieces": {"a": {"seconds": 3.5}}, "wall_seconds": 4.5}),
                          ("test_evaluations.json", {"warm": ["3f" * 32, "a0" * 32]})):
        write_text(folder / name, document_text(content))
    vocabularies = [*(folder / "dataset" / "vocabulary").glob("*.parquet")]
    made = {"logs": read_logs, "dataset": read_dataset, "packed": read_dataset, "embeddings": read_embeddings,
            "ranker": lambda path: read_ranker(path, dataset), "index": read_index,
            "best": lambda path: read_best(path, folder / "ranker", dataset)}
    return [
        *(Kind(name, files_of(folder / name), lambda read=read, name=name: read(folder / name))
          for name, read in made.items()),
        Kind("vocabularies of another job", (*vocabularies, folder / "dataset" / "dataset_info.json"),
             lambda: [load_finished_vocabulary(
                 str(folder / "dataset"), path.stem, vocabulary_info(str(folder / "dataset"))).counts
                 for path in vocabularies]),
        Kind("checkpoint", checkpoints, lambda: read_checkpoints(folder / "checkpoints")),
        Kind("exported version", files_of(version), lambda: read_exported(version)),
        Kind("served version", files_of(version), lambda: serve(version)), *document_kinds(folder, study)]


@pytest.fixture(scope="module")
def expected(kinds: list[Kind]) -> dict[str, str]:
    """Kind -> summary of what is read from the undamaged artifact."""
    found = {kind.name: summary(kind.read()) for kind in kinds}
    assert found == {kind.name: summary(kind.read()) for kind in kinds}  # readers are deterministic
    return found


def test_a_bit_of_every_file_is_named(kinds, expected):
    outcomes, random = Outcomes(), np.random.default_rng(SEED)
    for kind in kinds:
        for path in kind.files:
            flip = Flip(path, int(random.integers(path.stat().st_size)), int(random.integers(8)))
            attempt(kind, flip, expected[kind.name], outcomes)
        outcomes.require_all_held(f"{FAULT}, {kind.name}", tried=len(kind.files))


def test_random_bits(kinds, expected, outcomes, campaign_size):
    drawn = draw(kinds, campaign_size(SHORT, LONG), SEED)
    for kind, flip in drawn:
        attempt(kind, flip, expected[kind.name], outcomes)
    for kind in kinds:
        outcomes.require_all_held(f"{FAULT}, {kind.name}", tried=sum(each.name == kind.name for each, _ in drawn))


def test_a_flip_changes_one_bit_and_is_undone(tmp_path: Path):
    path = tmp_path / "data"
    path.write_bytes(b"ab")
    with flipped(Flip(path, 1, 1)):
        assert path.read_bytes() == b"a`"
    assert path.read_bytes() == b"ab"


@pytest.mark.parametrize(("read", "outcome"), [
    (lambda path: path.read_bytes(), "silent"), (lambda _: 3, "held"), (lambda path: path.read_bytes().index(b"ab"),
                                                                        "lost")])
def test_outcomes_are_told_apart(tmp_path: Path, read, outcome):
    path = tmp_path / "data"
    path.write_bytes(b"ab")
    kind, outcomes = Kind("k", (path,), lambda: read(path)), Outcomes()
    attempt(kind, Flip(path, 0, 0), summary(kind.read()), outcomes)
    counts = outcomes.counts()[f"{FAULT}, k"]
    assert {name for name, count in counts.items() if count} == {"tried", outcome}


def test_a_copy_of_an_artifact_is_as_good(kinds, tmp_path):
    [logs] = [kind for kind in kinds if kind.name == "logs"]
    shutil.copytree(logs.files[0].parent, tmp_path / "logs")
    assert summary(read_logs(tmp_path / "logs")) == summary(logs.read())
