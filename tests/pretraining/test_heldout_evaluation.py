"""The evaluation on held-out pairs against a naive ranking, and what it refuses."""

import types

import numpy as np
import planted
import pytest
import scipy.stats

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.pairs import pair_blocks
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.pretraining.build import build_model
from tfrs_pretrain.pretraining.evaluate import Evaluator


def configured(**pretraining):
    tree = planted.planted_config()
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | {"recall_at": [5, 30]} | pretraining})


@pytest.fixture(scope="module")
def evaluated(tiny_dataset):
    """A model, its evaluator and its metrics."""
    config = configured(initial_scale=1.0)
    model, evaluator = build_model(config, tiny_dataset, 10), Evaluator(tiny_dataset, config.pretraining)
    return model, evaluator, evaluator(model)


def pair_set(dataset, split):
    return {(int(user), int(item)) for block in pair_blocks(dataset.files(f"pairs/{split}")).as_numpy_iterator()
            for user, item in zip(block["query"], block["candidate"], strict=True)}


def unit(matrix):
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def naive_lists(model, dataset):
    """User row -> its new held-out items and the ranking of all items that the user does not have in training."""
    first_user, first_item = dataset.schema.user.oov_rows, dataset.schema.item.oov_rows
    train, heldout = pair_set(dataset, "train"), pair_set(dataset, "heldout")
    users, items = unit(model.users.numpy()), unit(model.items.numpy())
    for user in sorted({user for user, item in heldout if user >= first_user and item >= first_item}):
        relevant = {item for other, item in heldout - train if other == user and item >= first_item}
        ranked = [item for item in np.argsort(-(items @ users[user]), kind="stable").tolist()
                  if item >= first_item and (user, item) not in train]
        yield relevant, ranked


def test_ranking_metrics_are_those_of_a_naive_ranking(evaluated, tiny_dataset):
    model, _, metrics = evaluated
    lists = list(naive_lists(model, tiny_dataset))
    items = tiny_dataset.num_rows("item") - tiny_dataset.schema.item.oov_rows
    for cutoff in (5, 30):
        recalls = [len(relevant & set(ranked[:cutoff])) / len(relevant) for relevant, ranked in lists if relevant]
        assert metrics[f"recall@{cutoff}"] == pytest.approx(np.mean(recalls))
        shown = {item for _, ranked in lists for item in ranked[:cutoff]}
        assert metrics[f"coverage@{cutoff}"] == pytest.approx(len(shown) / items)
    ranks = [next((place for place, item in enumerate(ranked[:30], 1) if item in relevant), np.inf)
             for relevant, ranked in lists if relevant]
    assert metrics["mrr@30"] == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_means_over_users_have_their_interval(evaluated, tiny_dataset):
    model, _, metrics = evaluated
    lists = list(naive_lists(model, tiny_dataset))
    assert metrics["eligible_users"] == len(lists)
    recalls = [len(relevant & set(ranked[:30])) / len(relevant) for relevant, ranked in lists if relevant]
    assert metrics["queries"] == len(recalls)
    expected = scipy.stats.ttest_1samp(recalls, 0).confidence_interval(0.95)
    assert metrics["intervals"]["recall@30"] == pytest.approx(list(expected))
    assert set(metrics["intervals"]) == {f"{name}@{k}" for name in ("recall", "ndcg", "mrr") for k in (5, 30)}
    sample = Evaluator(tiny_dataset, configured(max_queries=20).pretraining).ranking_metrics(model)
    assert (sample["eligible_users"], sample["queries"] <= 20) == (len(lists), True)
    (low, high), (all_low, all_high) = (each["intervals"]["recall@30"] for each in (sample, metrics))
    assert high - low > all_high - all_low
    assert low < metrics["recall@30"] < high


def test_recall_by_frequency_counts_training_pairs(evaluated, tiny_dataset):
    model, _, metrics = evaluated
    counts = np.zeros(tiny_dataset.num_rows("item"), int)
    for block in pair_blocks(tiny_dataset.files("pairs/train")).as_numpy_iterator():
        np.add.at(counts, block["candidate"], 1)
    lists = list(naive_lists(model, tiny_dataset))
    found = [name for name in metrics if name.startswith("frequency_")]
    assert found
    for name in found:
        lower, upper = (float(part) for part in name.removeprefix("frequency_").partition("/")[0].split("_to_"))
        recalls = []
        for relevant, ranked in lists:
            group = {item for item in relevant if lower <= counts[item] < upper}
            if group:
                recalls.append(len(group & set(ranked[:30])) / len(group))
        assert metrics[name] == pytest.approx(np.mean(recalls)), name


def test_free_rows_are_neither_listed_nor_counted(evaluated, tiny_dataset, monkeypatch):
    """Rows of items without held-out pairs are freed: the metrics are those of a corpus without these items."""
    model, _, _ = evaluated
    vocabulary = tiny_dataset.vocabulary("item")
    paired = {item for split in ("train", "heldout") for _, item in pair_set(tiny_dataset, split)}
    unpaired = np.setdiff1d(vocabulary.id_rows, sorted({item for _, item in pair_set(tiny_dataset, "heldout")}))[::2]
    freed = vocabulary.with_freed(unpaired)
    assert 0 < len(unpaired) < len(paired)
    monkeypatch.setattr(type(tiny_dataset), "vocabulary", lambda self, name: freed)
    metrics = Evaluator(tiny_dataset, configured().pretraining).ranking_metrics(model)
    lists = [(relevant, [item for item in ranked if item not in set(unpaired.tolist())])
             for relevant, ranked in naive_lists(model, tiny_dataset)]
    for cutoff in (5, 30):
        recalls = [len(relevant & set(ranked[:cutoff])) / len(relevant) for relevant, ranked in lists if relevant]
        assert metrics[f"recall@{cutoff}"] == pytest.approx(np.mean(recalls))
        shown = {item for _, ranked in lists for item in ranked[:cutoff]}
        assert metrics[f"coverage@{cutoff}"] == pytest.approx(len(shown) / freed.num_ids)


def test_the_same_model_has_the_same_loss_again(evaluated):
    model, evaluator, metrics = evaluated
    assert evaluator.heldout_losses(model)["heldout_loss"] == metrics["heldout_loss"]


def test_without_cutoffs_there_is_only_the_loss(evaluated, tiny_dataset):
    evaluator = Evaluator(tiny_dataset, configured(recall_at=[]).pretraining)
    assert list(evaluator(evaluated[0])) == ["heldout_loss"]


def test_fewer_than_two_held_out_pairs_are_refused(tiny_dataset):
    dataset = types.SimpleNamespace(folder=tiny_dataset.folder, num_examples=lambda split: 1)
    with pytest.raises(UserError, match="has 1 held-out pairs, at least 2 are needed"):
        Evaluator(dataset, configured().pretraining)
