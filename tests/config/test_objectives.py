"""Objectives of Stage I and their negatives: each kind has its own keys."""

import pytest

from tfrs_pretrain.config import load_config, parse_config
from tfrs_pretrain.errors import UserError


def objective(text):
    return load_config("completejourney", [f"pretraining.objective={text}"]).pretraining.objective


def refusal(text):
    with pytest.raises(UserError) as caught:
        objective(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_default_is_a_corrected_in_batch_softmax():
    default = objective("softmax")
    assert default.model_dump() == {
        "kind": "softmax", "temperature": 0.2, "learn_temperature": False, "normalize": True, "popularity_prior": 0.0,
        "negatives": {"kind": "in_batch", "log_q": "classic", "remove_accidental_hits": True,
                      "mask_known_positives": False}}
    assert objective("{}") == default


def test_each_kind_tells_what_it_samples():
    """What the training reads of every kind, also where the kind has no such key."""
    found = {text: objective(text) for text in (
        "{negatives: in_batch}", "{negatives: {kind: mixed, count: 4, log_q: refined}}",
        "{negatives: {kind: uniform, count: 5}}", "{kind: cosine_contrastive, negatives: {count: 6}}")}
    assert [(one.negatives.kind, one.negatives.count, one.negatives.log_q) for one in found.values()] == [
        ("in_batch", 0, "classic"), ("mixed", 4, "refined"), ("uniform", 5, "none"), ("uniform", 6, "none")]
    cosine = found["{kind: cosine_contrastive, negatives: {count: 6}}"]
    assert (cosine.normalize, cosine.learn_temperature, cosine.popularity_prior) == (True, False, 0.0)
    assert (cosine.margin, cosine.negative_weight) == (0.4, 50.0)


@pytest.mark.parametrize(("text", "key", "kind"), [
    ("{margin: 0.3}", "margin", "softmax"), ("{negative_weight: 3}", "negative_weight", "softmax"),
    ("{kind: cosine_contrastive, temperature: 1, negatives: {count: 1}}", "temperature", "cosine_contrastive"),
    ("{kind: cosine_contrastive, normalize: true, negatives: {count: 1}}", "normalize", "cosine_contrastive"),
    ("{kind: cosine_contrastive, popularity_prior: 1, negatives: {count: 1}}", "popularity_prior",
     "cosine_contrastive"),
    ("{kind: cosine_contrastive, learn_temperature: true, negatives: {count: 1}}", "learn_temperature",
     "cosine_contrastive"),
    ("{negatives: {kind: uniform, count: 4, log_q: classic}}", "negatives.log_q", "uniform"),
    ("{negatives: {kind: uniform, count: 4, remove_accidental_hits: false}}", "negatives.remove_accidental_hits",
     "uniform"),
    ("{negatives: {kind: in_batch, count: 4}}", "negatives.count", "in_batch"),
])
def test_keys_that_the_kind_ignores_are_refused(text, key, kind):
    assert f"unknown key 'pretraining.objective.{key}'; kind {kind!r} has no such key" in refusal(text)


@pytest.mark.parametrize(("text", "words"), [
    ("{negatives: mixed}", "objective.negatives.count: Field required"),
    ("{negatives: {kind: uniform, count: 0}}", "objective.negatives.count: Input should be greater than or equal to 1"),
    ("cosine_contrastive", "pretraining.objective.negatives: Field required"),
    ("{kind: cosine_contrastive, negatives: {kind: mixed, count: 3}}", "objective.negatives.kind: Input should be"),
    ("{negatives: {log_q: refined, remove_accidental_hits: false}}",
     "pretraining.objective.negatives: log_q 'refined' needs remove_accidental_hits"),
    ("{negatives: {kind: mixed, count: 2, log_q: refined, remove_accidental_hits: false}}", "needs remove_accidental"),
    ("{negatives: {log_q: true}}", "objective.negatives.log_q: Input should be 'none', 'classic' or 'refined'"),
    ("hinge", "pretraining.objective: unknown kind 'hinge': expected 'softmax', 'cosine_contrastive'"),
    ("3", "pretraining.objective"),
])
def test_other_mistakes_are_refused_in_one_line(text, words):
    assert words in refusal(text)


def test_no_correction_keeps_accidental_hits_if_wanted():
    negatives = objective("{negatives: {log_q: none, remove_accidental_hits: false}}").negatives
    assert (negatives.log_q, negatives.remove_accidental_hits) == ("none", False)


@pytest.mark.parametrize("text", [
    "{kind: cosine_contrastive, margin: 0.1, negatives: {count: 3, mask_known_positives: true}}",
    "{temperature: 0.3, negatives: {kind: mixed, count: 7, log_q: none}}",
])
def test_resolved_objectives_read_back_equal(text):
    config = load_config("completejourney", [f"pretraining.objective={text}"])
    assert parse_config(config.resolved(), origin="stored") == config


def test_one_key_of_a_short_form_can_be_set():
    config = load_config("completejourney", [
        "pretraining.objective=softmax", "pretraining.objective.negatives=in_batch",
        "pretraining.objective.negatives.log_q=none"])
    assert config.pretraining.objective.negatives.log_q == "none"
