"""Stage I from dataset to artifact on the planted logs."""

import copy
import json
import shutil
import types

import numpy as np
import planted
import pyarrow as pa
import pytest
from resealed import rewrite

from tfrs_pretrain.config import Config, TrainingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.embeddings.artifact import Embeddings, save_embeddings
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.hashing import hash_ids
from tfrs_pretrain.pretraining.heldout_queries import select_queries
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.vocabulary import Vocabulary


def configured(**pretraining):
    tree = planted.planted_config()
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | pretraining})


@pytest.fixture(scope="module")
def trained(tiny_dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage_one") / "embeddings"
    return folder, pretrain(configured(), tiny_dataset, folder)


def test_learns_the_planted_preferences(trained):
    epochs = trained[1].epochs
    assert [epoch["epoch"] for epoch in epochs] == list(range(len(epochs)))
    assert epochs[-1]["heldout_loss"] < epochs[0]["heldout_loss"] - 0.05
    assert epochs[-1]["recall@50"] > 1.3 * epochs[0]["recall@50"]
    assert epochs[0]["train_loss"] is None
    assert epochs[-1]["train_loss"] < epochs[1]["train_loss"]
    assert epochs[-1]["coverage@10"] < epochs[-1]["coverage@50"] <= 1
    sliced = {name: value for name, value in epochs[-1].items() if name.startswith("frequency_")}
    assert sliced
    assert min(sliced.values()) <= epochs[-1]["recall@50"] <= max(sliced.values())


def test_writes_an_artifact_that_is_compatible_with_the_dataset(trained, tiny_dataset):
    folder, result = trained
    embeddings = Embeddings.open(folder)
    embeddings.check_compatible(tiny_dataset)
    for name in ("user", "item"):
        assert embeddings.matrix(name).shape == (tiny_dataset.num_rows(name), 8)
    assert embeddings.window == tiny_dataset.windows.pretrain
    assert embeddings.manifest["kept_epoch"] == len(result.epochs) - 1
    assert result.to_json().items() <= embeddings.manifest.items()
    assert embeddings.manifest.keys() - result.to_json().keys() == {
        "code_version", "files", "kind", "run_digest", "tables"}


def test_same_seed_same_rows_other_seed_other_rows(trained, tiny_dataset, tmp_path):
    pretrain(configured(), tiny_dataset, tmp_path / "again")
    tree = planted.planted_config()
    pretrain(Config.model_validate(tree | {"seed": 99}), tiny_dataset, tmp_path / "other")
    first, again, other = (Embeddings.open(folder).matrix("item")
                           for folder in (trained[0], tmp_path / "again", tmp_path / "other"))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_epochs_keeps_the_random_rows(tiny_dataset, tmp_path):
    assert len(pretrain(configured(epochs=0), tiny_dataset, tmp_path / "e").epochs) == 1
    assert Embeddings.open(tmp_path / "e").matrix("user").std() == pytest.approx(
        configured().pretraining.initial_scale, rel=0.1)


def test_batch_larger_than_the_data_is_refused(tiny_dataset, tmp_path):
    pairs = tiny_dataset.num_examples("pairs/train")
    with pytest.raises(UserError, match=f"has only {pairs} training pairs: lower it"):
        pretrain(configured(batch_size=pairs + 1), tiny_dataset, tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_existing_output_is_refused_before_training(trained, tiny_dataset):
    with pytest.raises(UserError, match="not empty: pass --overwrite"):
        pretrain(configured(epochs=10**6), tiny_dataset, trained[0])


def test_diverging_run_names_the_step_and_leaves_nothing(tiny_dataset, tmp_path):
    with pytest.raises(UserError, match="not finite at step"):
        pretrain(configured(learning_rate=1e38, objective={"normalize": False}, optimizer="adagrad"), tiny_dataset,
                 tmp_path / "e")
    assert list(tmp_path.iterdir()) == []


def test_probability_is_positive_everywhere(tiny_dataset):
    given, used = tiny_dataset.candidate_probability, tiny_dataset.sampling_probability
    assert used.min() == 1 / tiny_dataset.num_examples("pairs/train")
    np.testing.assert_array_equal(used[given > 0], given[given > 0])


def test_queries_contain_known_pairs_only(tiny_dataset):
    pairs = {}
    for split in ("heldout", "train"):
        blocks = list(pair_blocks(tiny_dataset.files(f"pairs/{split}")).as_numpy_iterator())
        pairs[split] = {(int(u), int(i)) for b in blocks for u, i in zip(b["query"], b["candidate"], strict=True)}
    first_user, first_item = tiny_dataset.schema.user.oov_rows, tiny_dataset.schema.item.oov_rows
    queries = select_queries(tiny_dataset, 20)
    assert len(queries.users) == 20
    assert queries.users.min() >= first_user
    for query, row in enumerate(queries.users):
        seen, relevant = ({i - first_item for u, i in pairs[split] if u == row and i >= first_item}
                          for split in ("train", "heldout"))
        for got, expected in ((queries.seen, seen), (queries.relevant, relevant - seen)):
            assert got.items[got.offsets[query]:got.offsets[query + 1]].tolist() == sorted(expected)
    assert queries.relevant.counts.sum() > 0


def test_queries_are_the_users_of_the_smallest_hash(tiny_dataset):
    every = select_queries(tiny_dataset, 10**9).users
    assert len(every) > 40
    expected = sorted(every.tolist(), key=lambda row: int(hash_ids(np.array([row]))[0]))[:20]
    assert select_queries(tiny_dataset, 20).users.tolist() == sorted(expected)


def test_held_out_repeats_of_training_pairs_are_not_relevant(tiny_dataset):
    repeats = types.SimpleNamespace(schema=tiny_dataset.schema, num_rows=tiny_dataset.num_rows, relations=(),
                                    vocabulary=tiny_dataset.vocabulary,
                                    files=lambda split: tiny_dataset.files("pairs/train"))
    queries = select_queries(repeats, 20)
    assert queries.seen.counts.min() > 0
    assert queries.relevant.counts.tolist() == [0] * 20


@pytest.mark.parametrize("objective", [
    {"temperature": 0.2,
     "negatives": {"kind": "mixed", "count": 64, "log_q": "refined", "mask_known_positives": True}},
    {"temperature": 0.2, "negatives": {"kind": "uniform", "count": 64}, "learn_temperature": True,
     "popularity_prior": 0.5},
    {"kind": "cosine_contrastive", "negatives": {"count": 64}, "margin": 0.2}])
def test_every_objective_learns(objective, tiny_dataset, tmp_path):
    epochs = pretrain(configured(objective=objective), tiny_dataset, tmp_path / "e").epochs
    assert epochs[-1]["heldout_loss"] < epochs[0]["heldout_loss"]
    assert epochs[-1]["recall@50"] > 1.2 * epochs[0]["recall@50"]


def test_a_popularity_prior_alone_ranks_by_popularity(tiny_dataset, tmp_path):
    settings = configured(epochs=0, initial_scale=1e-6,
                          objective={"normalize": False, "popularity_prior": 0.5, "temperature": 0.3})
    result = pretrain(settings, tiny_dataset, tmp_path / "e")
    assert (result.popularity_prior, result.temperature) == (0.5, pytest.approx(0.3))
    queries = select_queries(tiny_dataset, settings.pretraining.max_queries)
    popularity = tiny_dataset.candidate_probability[tiny_dataset.schema.item.oov_rows:]
    recall = []
    for query in np.flatnonzero(queries.relevant.counts):
        seen, relevant = (set(part.items[part.offsets[query]:part.offsets[query + 1]].tolist())
                          for part in (queries.seen, queries.relevant))
        ranked = [item for item in np.argsort(-popularity, kind="stable").tolist() if item not in seen]
        recall.append(len(relevant & set(ranked[:50])) / len(relevant))
    assert result.epochs[0]["recall@50"] == pytest.approx(np.mean(recall), abs=0.02)  # ties aside


def test_warns_if_the_rows_can_hardly_help(trained, tiny_dataset, tmp_path, capsys):
    """Few ranked users have engagements; the earlier rows belong to none of the items."""
    earlier = tmp_path / "earlier"
    shutil.copytree(trained[0], earlier)
    content = json.loads((earlier / "manifest.json").read_text()) | {"window": {"start": -7, "end": 5}}
    foreign = Vocabulary(pa.array(["other"]), np.array([3]), oov_rows=8)
    save_embeddings(earlier, {"user": Embeddings.open(trained[0]).matrix("user"), "item": np.zeros((9, 8), np.float32)},
                    {"user": tiny_dataset.vocabulary("user"), "item": foreign}, content, overwrite=True)
    info = copy.deepcopy(tiny_dataset.info)
    info["splits"]["impressions/train"]["coverage"]["pretrained_users"] = 0.0004
    capsys.readouterr()
    pretrain(configured(epochs=0), Dataset(tiny_dataset.folder, info), tmp_path / "rows", start_from=earlier)
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("!")]
    assert [line.partition(",")[0] for line in warnings] == [
        "! only 0.0% of the training impressions have a pretrained user",
        f"! no item id of this dataset has a row in {earlier}"]
    pretrain(configured(epochs=0), tiny_dataset, tmp_path / "other")
    assert "!" not in capsys.readouterr().out


def test_starts_from_earlier_rows(trained, tiny_dataset, tmp_path):
    """Zero epochs keep the initial rows. The earlier rows are of an earlier window."""
    earlier = tmp_path / "earlier"
    shutil.copytree(trained[0], earlier)
    content = json.loads((earlier / "manifest.json").read_text())
    rewrite(earlier / "manifest.json", content | {"window": {"start": -7, "end": 5}})
    pretrain(configured(epochs=0), tiny_dataset, tmp_path / "rows", start_from=earlier)
    started = Embeddings.open(tmp_path / "rows")
    for name in ("user", "item"):
        np.testing.assert_array_equal(started.matrix(name), Embeddings.open(trained[0]).matrix(name))
        assert started.trained_rows(name).tolist() == tiny_dataset.vocabulary(name).occurring.tolist()
    assert str(started.window) == "[-7, 20)"
    later = content | {"window": {"start": 0, "end": 21}}  # the ranking window begins at 20
    rewrite(earlier / "manifest.json", later)
    with pytest.raises(UserError, match=r"trained on window \[0, 21\), which must end before the ranking window"):
        pretrain(configured(epochs=0), tiny_dataset, tmp_path / "other", start_from=earlier)
    assert not (tmp_path / "other").exists()


def test_the_finished_output_of_the_same_call_is_returned_without_training(trained, tiny_dataset, monkeypatch):
    folder, result = trained
    monkeypatch.setattr("tfrs_pretrain.training.trainer.Trainer.run", lambda _: pytest.fail("trained again"))
    assert pretrain(configured(), tiny_dataset, folder) == result
    assert not folder.with_name("embeddings.checkpoints").exists()
    for config, changes in ((configured(epochs=1), {}), (configured(), {"start_from": folder})):
        with pytest.raises(UserError, match="not empty: pass --overwrite"):
            pretrain(config, tiny_dataset, folder, **changes)


def test_checkpoints_that_a_killed_run_left_beside_its_output_are_removed(trained, tiny_dataset, monkeypatch):
    folder, _ = trained
    monkeypatch.setattr("tfrs_pretrain.training.checkpoint.Checkpoints.remove", lambda _: None)
    config = configured().model_copy(update={"training": TrainingConfig(checkpoint_every_steps=5)})
    output = folder.with_name("killed")
    result = pretrain(config, tiny_dataset, output)
    monkeypatch.undo()
    assert output.with_name("killed.checkpoints").is_dir()
    (output.with_name(".killed.unfinished-0")).mkdir()
    assert pretrain(config, tiny_dataset, output) == result
    assert sorted(path.name for path in folder.parent.iterdir()) == ["embeddings", "killed"]
