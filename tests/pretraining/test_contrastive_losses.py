"""Every objective against a naive float64 twin: loss and gradients, pair by pair."""

import numpy as np
import pytest
import tensorflow as tf
from numeric import numeric_gradient

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining import chunked_loss
from tfrs_pretrain.pretraining.batch_candidates import in_batch_candidates
from tfrs_pretrain.pretraining.contrastive_task import ContrastiveBatch
from tfrs_pretrain.pretraining.cosine_contrastive import CosineContrastive
from tfrs_pretrain.pretraining.in_batch_softmax import InBatchSoftmax
from tfrs_pretrain.pretraining.known_positives import KnownPositives
from tfrs_pretrain.pretraining.negative_sampler import UniformSampler
from tfrs_pretrain.pretraining.negative_sampling import NegativeSampling
from tfrs_pretrain.pretraining.two_tower import TwoTower
from tfrs_pretrain.pretraining.uniform_softmax import UniformSoftmax
from tfrs_pretrain.training.schedules import make_schedule

BATCH, DIM, ITEMS, USERS, TEMPERATURE, DRAWS = 20, 4, 9, 12, 0.3, 15
WEIGHTS = np.resize([0.0, 1.0, 2.5, 0.3, 1.0, 0.1, 4.0], BATCH)


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(8)
    queries = generator.integers(0, USERS, BATCH)
    candidates = generator.choice(ITEMS, BATCH, p=np.arange(1, ITEMS + 1) / 45)
    known = [set(generator.choice(ITEMS, 3, replace=False).tolist()) for _ in range(USERS)]
    for query, candidate in zip(queries.tolist(), candidates.tolist(), strict=True):
        known[query].add(candidate)
    return {"users": generator.normal(size=(USERS, DIM)), "items": generator.normal(size=(ITEMS, DIM)),
            "queries": queries, "candidates": candidates, "known": known,
            "probability": generator.dirichlet(np.ones(ITEMS) * 3)}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def computed(data, task, sampling=None, known=False, probability=None, prior=None, weights=None):
    """Mean of the losses, its gradients, and the negatives of the batch as a list with repeats."""
    queries, positives = (tf.constant(data[name], tf.int32) for name in ("queries", "candidates"))
    candidates = (sampling or NegativeSampling()).candidates(positives, tf.constant(3, tf.int64))
    users, items = tf.constant(data["users"], tf.float32), tf.constant(data["items"], tf.float32)
    masked = None
    if known:
        pairs = [(user, item) for user, owned in enumerate(data["known"]) for item in owned]
        masked = KnownPositives(Interactions.from_pairs(*np.array(pairs).T, USERS)).positions(queries, candidates)
    log_probability, prior = (None if values is None else tf.gather(tf.constant(values, tf.float32), candidates.ids)
                              for values in (None if probability is None else np.log(probability), prior))
    with tf.GradientTape() as tape:
        tape.watch([users, items])
        loss = task(ContrastiveBatch(
            tf.gather(users, queries), tf.gather(items, candidates.ids), candidates, log_probability, prior,
            masked=masked, weights=None if weights is None else tf.constant(weights, tf.float32)))
    gradients = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, [users, items])]
    negatives = np.repeat(candidates.ids[:len(candidates.counts)].numpy(), candidates.counts.numpy())
    return loss.numpy() / BATCH, [gradient / BATCH for gradient in gradients], negatives.tolist()


def check(data, got, naive):
    loss, gradients, _ = got
    assert loss == pytest.approx(naive(data["users"], data["items"]), abs=1e-5)
    check_gradients(data, gradients, naive)


def check_gradients(data, gradients, naive):
    np.testing.assert_allclose(gradients[0], numeric_gradient(lambda users: naive(users, data["items"]), data["users"]),
                               rtol=0, atol=2e-5)
    np.testing.assert_allclose(gradients[1], numeric_gradient(lambda items: naive(data["users"], items), data["items"]),
                               rtol=0, atol=2e-5)


def naive_softmax(data, negatives, probability, known=False):
    """Classic logQ, accidental hits removed, any list of negatives."""
    def loss(users, items):
        users, items, total = unit(users), unit(items), 0.0
        for query, positive in zip(data["queries"], data["candidates"], strict=True):
            logit = items @ users[query] / TEMPERATURE - np.log(probability)
            hidden = data["known"][query] if known else {positive}
            others = [logit[item] for item in negatives if item not in hidden and item != positive]
            total += np.log(np.sum(np.exp([logit[positive], *others]))) - logit[positive]
        return total / BATCH
    return loss


def softmax(**options):
    return InBatchSoftmax(temperature=TEMPERATURE, normalize=True, remove_accidental_hits=True, **options)


def test_known_positives_are_masked(data):
    got = computed(data, softmax(), known=True, probability=data["probability"])
    check(data, got, naive_softmax(data, data["candidates"].tolist(), data["probability"], known=True))


@pytest.mark.parametrize("known", [False, True])
def test_mixed_negatives(data, known):
    sampling = NegativeSampling(True, UniformSampler(DRAWS, ITEMS, seed=4))
    mixture = (BATCH * data["probability"] + DRAWS / ITEMS) / (BATCH + DRAWS)
    np.testing.assert_allclose(sampling.probability(data["probability"], BATCH), mixture)
    got = computed(data, softmax(), sampling, known, mixture)
    assert len(got[2]) == BATCH + DRAWS
    check(data, got, naive_softmax(data, got[2], mixture, known))


def test_refined_correction_has_the_gradient_of_the_weighted_loss(data):
    """The weight 1 - P(positive) is held constant; P takes the importance-weighted mean over the negatives."""
    q = data["probability"]

    def terms(users, items):
        users, items = unit(users), unit(items)
        for query, positive in zip(data["queries"], data["candidates"], strict=True):
            logit = items @ users[query] / TEMPERATURE
            others = [item for item in data["candidates"] if item != positive]
            corrected = [logit[item] - np.log(q[item] / (1 - q[positive])) for item in others]
            yield logit[positive], np.log(np.sum(np.exp(corrected))), len(others)

    weights = [1 - np.exp(positive) / (np.exp(positive) + np.exp(rest) / n)
               for positive, rest, n in terms(data["users"], data["items"])]

    def weighted(users, items):
        pairs = zip(weights, terms(users, items), strict=True)
        return sum(weight * (rest - positive) for weight, (positive, rest, _) in pairs) / BATCH

    loss, gradients, _ = computed(data, softmax(refined=True), probability=q)
    check_gradients(data, gradients, weighted)
    assert loss == pytest.approx(-np.mean(np.log1p(-np.array(weights))), abs=1e-5)


@pytest.mark.parametrize("known", [False, True])
def test_uniform_softmax(data, known):
    got = computed(data, UniformSoftmax(temperature=TEMPERATURE, normalize=True, num_rows=ITEMS),
               NegativeSampling(False, UniformSampler(DRAWS, ITEMS, seed=4)), known)
    negatives = got[2]
    assert len(negatives) == DRAWS

    def naive(users, items):
        users, items, total = unit(users), unit(items), 0.0
        for query, positive in zip(data["queries"], data["candidates"], strict=True):
            weight = np.exp(items @ users[query] / TEMPERATURE)
            hidden = data["known"][query] if known else {positive}
            rest = sum(weight[item] for item in negatives if item not in hidden) * ITEMS / DRAWS
            total -= np.log(weight[positive] / (weight[positive] + rest))
        return total / BATCH

    check(data, got, naive)


@pytest.mark.parametrize(("known", "weights"), [(False, None), (True, None), (True, WEIGHTS)])
def test_cosine_contrastive(data, known, weights, monkeypatch):
    monkeypatch.setattr(chunked_loss, "CHUNK_LOGITS", 3 * ITEMS)  # several chunks, the last one shorter
    got = computed(data, CosineContrastive(margin=0.1, negative_weight=7.0),
               NegativeSampling(False, UniformSampler(DRAWS, ITEMS, seed=4)), known, weights=weights)

    def naive(users, items):
        users, items, total = unit(users), unit(items), 0.0
        each = np.ones(BATCH) if weights is None else weights
        for query, positive, weight in zip(data["queries"], data["candidates"], each, strict=True):
            cosine = items @ users[query]
            hidden = data["known"][query] if known else {positive}
            over = [max(0.0, cosine[item] - 0.1) for item in got[2] if item not in hidden]
            total += weight * (1 - cosine[positive] + 7.0 * np.sum(over) / DRAWS)
        return total / BATCH

    check(data, got, naive)


def test_chunks_are_larger_on_a_gpu(monkeypatch):
    assert chunked_loss.chunk_logits() == 2**20
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert chunked_loss.chunk_logits() == 2**27


def naive_form(data, negatives, prior, weights, included, positive_offset, offset):
    """Logits are cosine / temperature + prior, plus an offset of negatives and one of positives."""
    def loss(users, items):
        users, items, total = unit(users), unit(items), 0.0
        for pair, (query, positive) in enumerate(zip(data["queries"], data["candidates"], strict=True)):
            logit = items @ users[query] / TEMPERATURE + prior
            others = [logit[item] + offset(item, positive) for other, item in enumerate(negatives)
                      if included(pair, positive, other, item)]
            positive_logit = logit[positive] + positive_offset(positive)
            total += weights[pair] * (np.log(np.sum(np.exp([positive_logit, *others]))) - positive_logit)
        return total / BATCH
    return loss


@pytest.mark.parametrize(("scale", "weights"), [(0.7, None), (None, WEIGHTS)])
@pytest.mark.parametrize("form", ["classic", "with hits", "refined", "uniform"])
def test_popularity_prior_and_weights(data, form, scale, weights, monkeypatch):
    """The prior is added to positives and negatives alike; weights scale a pair's loss, whatever its negatives are."""
    monkeypatch.setattr(chunked_loss, "CHUNK_LOGITS", 3 * ITEMS)  # several chunks, the last one shorter
    q = data["probability"]
    prior = None if scale is None else scale * np.log(q[::-1])
    counts = np.bincount(data["candidates"], minlength=ITEMS)
    task, sampling, included, positive_offset, offset = {
        "classic": (softmax(), None, lambda pair, positive, other, item: item != positive,
                    lambda positive: -np.log(q[positive]), lambda item, positive: -np.log(q[item])),
        "with hits": (InBatchSoftmax(temperature=TEMPERATURE, normalize=True, remove_accidental_hits=False), None,
                      lambda pair, positive, other, item: other != pair,
                      lambda positive: -np.log(q[positive]), lambda item, positive: -np.log(q[item])),
        "refined": (softmax(refined=True), None, lambda pair, positive, other, item: item != positive,
                    lambda positive: 0.0,
                    lambda item, positive: -np.log(q[item] / (1 - q[positive])) - np.log(BATCH - counts[positive])),
        "uniform": (UniformSoftmax(temperature=TEMPERATURE, normalize=True, num_rows=ITEMS),
                    NegativeSampling(False, UniformSampler(DRAWS, ITEMS, seed=4)),
                    lambda pair, positive, other, item: item != positive,
                    lambda positive: 0.0, lambda item, positive: np.log(ITEMS / DRAWS))}[form]
    got = computed(data, task, sampling, probability=q, prior=prior, weights=weights)
    negatives = got[2] if form == "uniform" else data["candidates"].tolist()
    check(data, got, naive_form(data, negatives, np.zeros(ITEMS) if prior is None else prior,
                                np.ones(BATCH) if weights is None else weights, included, positive_offset, offset))


@pytest.mark.parametrize("learnt", [False, True])
def test_retrieval_scores_are_the_logits(learnt):
    prior = np.log(np.arange(1, 8) / 28)
    log_temperature = EmbeddingTable("t", np.log([[0.2]]), make_optimizer("lazy_adam")) if learnt else None
    model = TwoTower(EmbeddingTable("user", normal_matrix(6, 4, 1.0, 1), make_optimizer("adagrad")),
                     EmbeddingTable("item", normal_matrix(7, 4, 1.0, 2), make_optimizer("adagrad")),
                     InBatchSoftmax(temperature=0.5, normalize=True, remove_accidental_hits=True), None,
                     make_schedule("constant", 0.01, 1), prior=prior, log_temperature=log_temperature)
    scores = model.query_vectors(tf.range(6)).numpy() @ model.candidate_vectors(tf.range(7)).numpy().T
    temperature = 0.2 if learnt else 0.5
    assert float(model.temperature) == pytest.approx(temperature)
    expected = unit(model.users.numpy()) @ unit(model.items.numpy()).T / temperature + prior
    np.testing.assert_allclose(scores / temperature, expected, rtol=0, atol=1e-5)
    # The loss of one pair among all items is the cross-entropy of these scores.
    loss = model.compute_loss({"query": tf.fill([7], 3), "candidate": tf.range(7)})
    expected = expected[3]
    assert float(loss) == pytest.approx(np.log(np.exp(expected).sum()) - expected.mean(), abs=1e-5)


def test_masked_positions_are_the_users_other_positives(data):
    candidates = in_batch_candidates(tf.constant(data["candidates"], tf.int32))
    pairs = [(user, item) for user, owned in enumerate(data["known"]) for item in owned]
    positions = KnownPositives(Interactions.from_pairs(*np.array(pairs).T, USERS)).positions(
        tf.constant(data["queries"], tf.int32), candidates)
    got = {(int(query), int(candidates.ids[negative])) for query, negative in zip(*positions, strict=True)}
    batch = set(data["candidates"].tolist())
    assert got == {(row, item) for row, query in enumerate(data["queries"]) for item in data["known"][query]
                   if item in batch and item != data["candidates"][row]}
    assert positions.queries.numpy().tolist() == sorted(positions.queries.numpy().tolist())


def test_draws_follow_seed_and_step_and_cover_the_corpus():
    sampling = NegativeSampling(False, UniformSampler(4000, 50, seed=1))
    positives = tf.constant([3, 3, 7])
    first, again, later = (sampling.candidates(positives, tf.constant(step, tf.int64)) for step in (5, 5, 6))
    np.testing.assert_array_equal(first.counts, again.counts)
    assert not np.array_equal(first.counts, later.counts)
    other = NegativeSampling(False, UniformSampler(4000, 50, seed=2))
    other_seed = other.candidates(positives, tf.constant(5, tf.int64))
    assert not np.array_equal(first.counts, other_seed.counts)
    assert sorted(first.ids.numpy().tolist()) == list(range(50))
    assert first.counts.numpy().sum() == 4000
    assert np.abs(first.counts.numpy() - 80).max() < 45  # five standard deviations
    assert first.ids.numpy()[first.positive.numpy()].tolist() == [3, 3, 7]


def test_learnt_temperature_moves_with_its_gradient():
    log_temperature = EmbeddingTable("log_temperature", np.log([[0.5]]), make_optimizer("lazy_adam"))
    model = TwoTower(EmbeddingTable("user", normal_matrix(6, 4, 1.0, 1), make_optimizer("adagrad")),
                     EmbeddingTable("item", normal_matrix(7, 4, 1.0, 2), make_optimizer("adagrad")),
                     InBatchSoftmax(temperature=0.5, normalize=True, remove_accidental_hits=True), None,
                     make_schedule("constant", 0.01, 1), log_temperature=log_temperature)
    batch = {"query": tf.constant([1, 2, 1, 4]), "candidate": tf.constant([3, 3, 0, 5])}

    def naive(log_value):
        users, items, total = unit(model.users.numpy()), unit(model.items.numpy()), 0.0
        for query, positive in zip([1, 2, 1, 4], [3, 3, 0, 5], strict=True):
            logits = items @ users[query] / np.exp(log_value)
            others = sum(np.exp(logits[item]) for item in (3, 3, 0, 5) if item != positive)
            total += np.log(others + np.exp(logits[positive])) - logits[positive]
        return total / 4

    slope = (naive(np.log(0.5) + 1e-3) - naive(np.log(0.5) - 1e-3)) / 2e-3
    loss = model.train_step(batch)["loss"]
    assert np.isfinite(loss)
    assert log_temperature.numpy()[0, 0] == pytest.approx(np.log(0.5) - 0.01 * np.sign(slope), abs=1e-5)
    assert log_temperature.slots["mean"].numpy()[0, 0] == pytest.approx(0.1 * slope, rel=1e-2)
