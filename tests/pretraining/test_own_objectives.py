"""Losses and samplers of installed packages: the example's are right and train; a mistake is one line."""

import numpy as np
import planted
import pytest
import tensorflow as tf
from own_packages import forget_modules, install, install_example

from tfrs_pretrain import own_code
from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.interop.embeddings import Embeddings
from tfrs_pretrain.interop.id_rows import similarity
from tfrs_pretrain.own_code import plug_in
from tfrs_pretrain.pretraining.batch_candidates import BatchCandidates
from tfrs_pretrain.pretraining.build import build_objective
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.logit_positions import LogitPositions
from tfrs_pretrain.pretraining.own_code_check import checked_sampler
from tfrs_pretrain.pretraining.run import pretrain
from tfrs_pretrain.pretraining.sampled_softmax import SampledSoftmax

GROUPS = {"tasks": ("Dot", "NoLoss", "Vector", "NotFinite", "Constant", "IgnoresCandidates", "IgnoresWeights",
                    "Unscaled", "Raises"),
          "negatives": ("Draws", "NoLoss", "NoProbability", "WrongProbability", "ShortProbability", "OtherCount",
                        "Floats", "TooMany", "OutOfRange", "Stateful", "RaisesInDraw")}


@pytest.fixture
def own(tmp_path, monkeypatch):
    install(tmp_path / "site", monkeypatch, {
        f"tfrs_pretrain.{group}": {name: f"own_objectives:{name}" for name in names}
        for group, names in GROUPS.items()})


@pytest.fixture
def example(tmp_path, monkeypatch):
    install_example(tmp_path / "example", monkeypatch)
    yield
    forget_modules()


def configured(objective, **pretraining):
    tree = planted.planted_config()
    return Config.model_validate(tree | {"pretraining": tree["pretraining"] | {"objective": objective} | pretraining})


@pytest.mark.parametrize(("kind", "message"), [
    ("NoLoss", "returns NoLoss, expected a tfrs_pretrain.ContrastiveTask"),
    ("Vector", "returns float32[3], expected the loss as a float32 scalar"),
    ("NotFinite", "returns the loss nan for ordinary rows"),
    ("Constant", "gradient for query_rows is zero"),
    ("IgnoresCandidates", "gradient for candidate_rows is zero"),
    ("IgnoresWeights", "ignores batch.weights: return batch.weighted_sum(losses)"),
    ("Unscaled", "represents rows otherwise than as unit vectors, as normalize: true says"),
    ("Raises", "fails (AttributeError: "),
])
def test_a_wrong_loss_is_refused_before_training(own, tiny_dataset, tmp_path, kind, message):
    with pytest.raises(UserError) as caught:
        pretrain(configured({"kind": kind}), tiny_dataset, tmp_path / "rows")
    assert str(caught.value).startswith(f"entry point {kind!r} of tfrs_pretrain.tasks (package own-package 0.1, ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "rows").exists()


def test_a_loss_must_leave_out_known_positives_only_if_they_are_masked(own, tiny_dataset):
    _, task = build_objective(configured({"kind": "Dot"}), tiny_dataset)
    assert task.normalize
    with pytest.raises(UserError, match=r"reads negatives in batch\.masked: leave these positions out"):
        build_objective(configured({"kind": "Dot", "negatives": {"mask_known_positives": True}}), tiny_dataset)


@pytest.mark.parametrize(("kind", "message"), [
    ("NoLoss", "returns NoLoss, expected a NegativeSampler"),
    ("NoProbability", "states no probability of a draw: implement probability, or set log_q to none"),
    ("WrongProbability", "has probabilities from 1 to 1 with the sum "),
    ("ShortProbability", "has probabilities float64[1], expected float64 ["),
    ("OtherCount", "has count 3, expected 5: accept the argument count"),
    ("Floats", "draws float32[5], expected int64 [5]"),
    ("TooMany", "draws int32[6], expected int64 [5]"),
    ("OutOfRange", "expected rows of ids from 0 to "),
    ("Stateful", "draws other rows when it is called again with the same arguments"),
    ("RaisesInDraw", "cannot be traced (KeyError: 'rows')"),
])
def test_a_wrong_sampler_is_refused(own, tiny_dataset, kind, message):
    with pytest.raises(UserError) as caught:
        build_objective(configured({"negatives": {"kind": kind, "count": 5}}), tiny_dataset)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sampler_without_probability_needs_no_correction(own, tiny_dataset):
    sampling, _ = build_objective(configured({"negatives": {"kind": "NoProbability", "count": 5, "log_q": "none"}}),
                                  tiny_dataset)
    assert sampling.num_draws == 5


def test_draws_of_free_rows_are_refused(own):
    found = plug_in("tfrs_pretrain.negatives", "Draws")
    with pytest.raises(UserError, match="draws row 2, expected rows of ids from 0 to 8, without the 1 free ones"):
        checked_sampler(found, found.create({}, {"count": 5, "num_rows": 9}), count=5, num_rows=9,
                        free=np.array([2]), needs_probability=True)


def test_a_name_of_a_built_in_loss_is_refused(tmp_path, monkeypatch, tiny_dataset):
    install(tmp_path, monkeypatch, {"tfrs_pretrain.tasks": {"softmax": "own_objectives:Dot"}})
    with pytest.raises(UserError, match="the name is taken by a built-in kind"):
        build_objective(configured({}), tiny_dataset)


def test_the_example_trains_and_is_recorded_with_its_version(example, tiny_dataset, tmp_path, monkeypatch):
    """Without the package, its rows can still be compared."""
    config = configured({"kind": "pairwise", "negatives": {
        "kind": "popular", "count": 64, "settings": {"power": 0.5}, "mask_known_positives": True}}, epochs=2)
    result = pretrain(config, tiny_dataset, tmp_path / "rows")
    assert result.epochs[-1]["recall@50"] > 1.2 * result.epochs[0]["recall@50"]
    assert result.temperature == pytest.approx(0.2)
    recorded = {each["name"]: each for each in read_manifest(tmp_path / "rows", "embeddings")["own_code"]}
    assert recorded["pairwise"] == {"group": "tfrs_pretrain.tasks", "name": "pairwise",
                                    "path": "own_package.pairwise:Pairwise", "package": "own-package",
                                    "version": "0.1", "settings": {"temperature": 0.2}}
    assert recorded["popular"]["settings"] == {"power": 0.5}
    monkeypatch.setattr(own_code, "_installed", lambda group: ())
    assert similarity(Embeddings.open(tmp_path / "rows")) == "cosine"
    with pytest.raises(UserError, match=r"unknown kind 'popular': expected 'in_batch', 'mixed', 'uniform' or an entry "
                                        r"point of tfrs_pretrain\.negatives .*: install its package"):
        build_objective(config, tiny_dataset)


def test_the_loss_of_the_example_is_the_formula(example):
    task = plug_in("tfrs_pretrain.tasks", "pairwise").create({"temperature": 0.5}, {"normalize": False})
    random = np.random.default_rng(1)
    queries, rows = random.standard_normal((2, 3)), random.standard_normal((4, 3))
    counts, positive, masked, weights = [2, 1, 3, 1], [0, 2], {(1, 3)}, [1.0, 2.0]
    expected = 0.0
    for pair in range(2):
        scores = rows @ queries[pair] / 0.5
        terms = [(counts[item], np.log1p(np.exp(scores[item] - scores[positive[pair]]))) for item in range(4)
                 if item != positive[pair] and (pair, item) not in masked]
        expected += weights[pair] * sum(n * loss for n, loss in terms) / sum(n for n, _ in terms)
    found = task(ContrastiveBatch(
        tf.constant(queries, tf.float32), tf.constant(rows, tf.float32),
        BatchCandidates(tf.range(4), tf.constant(counts), tf.constant(positive)),
        masked=LogitPositions(tf.constant([1]), tf.constant([3])), weights=tf.constant(weights)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_sampler_of_the_example_draws_as_it_states(example):
    sampler = plug_in("tfrs_pretrain.negatives", "popular").create(
        {"power": 0.5},
        {"count": 20_000, "seed": 3, "free": np.array([1]), "item_share": np.array([.64, .2, .16, .04])})
    np.testing.assert_allclose(sampler.probability(), [.8 / 1.4, 0, .4 / 1.4, .2 / 1.4])
    drawn = sampler.draw(tf.constant([0]), tf.constant(4, tf.int64)).numpy()
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, sampler.probability(), atol=0.02)


@pytest.mark.parametrize("stated", [True, False])
def test_draws_of_any_distribution_estimate_the_full_softmax(stated):
    """Against a plain loop; without probabilities, each of the 5 rows counts as if it were drawn uniformly."""
    random = np.random.default_rng(2)
    queries, rows = random.standard_normal((2, 3)), random.standard_normal((4, 3))
    counts, positive, probability = [2, 1, 3], [1, 3], np.array([.5, .2, .3, .1])
    expected = 0.0
    for pair in range(2):
        scores = rows @ queries[pair] / 0.7
        of_positive = np.exp(scores[positive[pair]])
        others = sum(counts[item] / 6 * np.exp(scores[item]) * (1 / probability[item] if stated else 5)
                     for item in range(3) if item != positive[pair])
        expected -= np.log(of_positive / (of_positive + others))
    found = SampledSoftmax(temperature=0.7, normalize=False, num_rows=5)(ContrastiveBatch(
        tf.constant(queries, tf.float32), tf.constant(rows, tf.float32),
        BatchCandidates(tf.range(4), tf.constant(counts), tf.constant(positive)),
        tf.constant(np.log(probability), tf.float32) if stated else None))
    assert float(found) == pytest.approx(expected, rel=1e-5)
