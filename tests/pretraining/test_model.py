"""The two towers: what a step changes, and that replicas do not change it (in processes of their own)."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.pretraining.model import TwoTower
from tfrs_pretrain.pretraining.recommenders import tfrs
from tfrs_pretrain.pretraining.task import InBatchSoftmax
from tfrs_pretrain.training.schedules import make_schedule

BATCH = {"query": tf.constant([1, 2, 1, 4]), "candidate": tf.constant([3, 3, 0, 5])}


@pytest.fixture
def model():
    task = InBatchSoftmax(temperature=0.1, normalize=True, remove_accidental_hits=True)
    return TwoTower(EmbeddingTable("user", normal_matrix(6, 4, 0.1, 1), make_optimizer("adagrad")),
                    EmbeddingTable("item", normal_matrix(7, 4, 0.1, 2), make_optimizer("adagrad")),
                    task, np.full(7, 1 / 7), make_schedule("linear", 0.1, steps=2))


def test_a_step_moves_every_row_of_the_batch_and_no_other(model):
    assert isinstance(model, tfrs.Model)
    before = {"user": model.users.numpy(), "item": model.items.numpy()}
    loss = model.test_step(BATCH)["loss"]
    assert float(model.train_step(BATCH)["loss"]) == pytest.approx(float(loss))
    moved = {name: np.flatnonzero((table.numpy() != before[name]).any(axis=1)).tolist()
             for name, table in (("user", model.users), ("item", model.items))}
    assert moved == {"user": [1, 2, 4], "item": [0, 3, 5]}
    assert float(model.test_step(BATCH)["loss"]) < float(loss)


def test_only_ratios_of_weights_matter(model):
    plain = float(model.compute_loss(BATCH))
    for weights in ([1, 1, 1, 1], [0.2, 0.2, 0.2, 0.2]):
        assert float(model.compute_loss(BATCH | {"weight": tf.constant(weights, tf.float32)})) == pytest.approx(plain)
    one, other = (float(model.compute_loss(BATCH | {"weight": tf.constant(weights)}))
                  for weights in ([3.0, 1, 0, 0.5], [6.0, 2, 0, 1]))
    assert one == pytest.approx(other)
    alone = [float(model.compute_loss(BATCH | {"weight": tf.one_hot(pair, 4)})) for pair in range(4)]
    assert plain == pytest.approx(np.mean(alone), rel=1e-5)
    assert one == pytest.approx((3 * alone[0] + alone[1] + 0.5 * alone[3]) / 4.5, rel=1e-5)
    assert float(model.compute_loss(BATCH | {"weight": tf.zeros(4)})) == 0.0


def test_a_pair_of_weight_zero_teaches_its_query_nothing(model):
    before = model.users.numpy()
    weighted = BATCH | {"weight": tf.constant([1.0, 0.0, 2.0, 1.0])}
    loss = float(model.compute_loss(weighted))
    assert float(model.compute_loss(weighted | {"query": tf.constant([1, 5, 1, 4])})) == loss
    model.train_step(weighted)
    assert np.flatnonzero((model.users.numpy() != before).any(axis=1)).tolist() == [1, 4]


def test_learning_rate_follows_the_schedule(model):
    model.train_step(BATCH)
    model.train_step(BATCH)
    after_two = model.users.numpy()
    model.train_step(BATCH)  # the schedule has ended: rate 0
    np.testing.assert_array_equal(model.users.numpy(), after_two)


TRAIN = """
import json, sys
import numpy as np
import tensorflow as tf
from tfrs_pretrain.config import TrainingConfig
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix
from tfrs_pretrain.pretraining.model import TwoTower
from tfrs_pretrain.metrics.interactions import Interactions
from tfrs_pretrain.pretraining.negatives import KnownPositives, NegativeSampling
from tfrs_pretrain.pretraining.task import CosineContrastive, InBatchSoftmax
from tfrs_pretrain.training.loop import run_epoch
from tfrs_pretrain.training.schedules import make_schedule
from tfrs_pretrain.training.strategy import build_strategy

cpus, folder = int(sys.argv[1]), sys.argv[2]
strategy = build_strategy(TrainingConfig(logical_cpus=cpus))
generator = np.random.default_rng(3)
probability = generator.dirichlet(np.full(40, 0.3)) * 0.99 + 0.01 / 40
in_batch = dict(temperature=0.1, normalize=True, remove_accidental_hits=True)
known = KnownPositives(Interactions.from_pairs(generator.integers(0, 50, 300), generator.integers(0, 40, 300), 50))
drawn = NegativeSampling(False, 24, 40, seed=3)
task, options = {
    "classic": (InBatchSoftmax(**in_batch), {}),
    "mixed": (InBatchSoftmax(**in_batch, refined=True),
              {"sampling": NegativeSampling(True, 24, 40, seed=3), "known": known}),
    "cosine": (CosineContrastive(margin=0.1, negative_weight=5.0), {"sampling": drawn, "known": known})}[sys.argv[3]]
with strategy.scope():
    if sys.argv[3] == "mixed":
        options["prior"] = 0.5 * np.log(probability)
        options["log_temperature"] = EmbeddingTable("t", np.log([[0.1]]), make_optimizer("lazy_adam"))
    model = TwoTower(EmbeddingTable("user", normal_matrix(50, 8, 0.1, 1), make_optimizer("lazy_adam", l2=1e-3)),
                     EmbeddingTable("item", normal_matrix(40, 8, 0.1, 2),
                                    make_optimizer("rowwise_adagrad", l2=1e-3, interval_decay=0.01)),
                     task, probability, make_schedule("linear", 0.01, steps=20), **options)
# Uneven skew: sorted candidates give the replicas different items.
pairs = {"query": tf.constant(generator.integers(0, 50, 20 * 32), tf.int32),
         "candidate": tf.constant(np.sort(generator.choice(40, (20, 32), p=probability), axis=1).ravel(), tf.int32)}
if sys.argv[3] == "mixed":
    pairs["weight"] = tf.constant(generator.choice([0, 0.5, 3], 20 * 32), tf.float32)
losses = []
class Meter:
    def advance(self, amount): pass
    def note(self, text): losses.append(text)
data = tf.data.Dataset.from_tensors(pairs).rebatch(32, drop_remainder=True)
first = run_epoch(strategy, model.train_step, data.take(1), steps=1, meter=Meter())["loss"]
rest = run_epoch(strategy, model.train_step, data.skip(1), steps=19, meter=Meter())["loss"]
copies = [[copy.numpy() for copy in strategy.experimental_local_results(variable)]
          for table in (model.users, model.items) for variable in (table.weights, *table.slots.values())]
np.savez(folder + f"/{cpus}.npz", *(c[0] for c in copies))
print(json.dumps({"first": first, "rest": rest, "replicas": len(copies[0]),
                  "identical": all(np.array_equal(c[0], other) for c in copies for other in c)}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["classic", "mixed", "cosine"])
def test_replicas_change_nothing(objective, tmp_path):
    outs = {}
    for cpus in (1, 2):
        done = subprocess.run([sys.executable, "-c", TRAIN, str(cpus), str(tmp_path), objective], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        outs[cpus] = json.loads(done.stdout.splitlines()[-1])
    assert [out["replicas"] for out in outs.values()] == [1, 2]
    assert outs[2]["identical"]
    assert outs[1]["first"] == pytest.approx(outs[2]["first"], abs=1e-6)
    assert outs[1]["rest"] == pytest.approx(outs[2]["rest"], abs=1e-5)
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        for name in one.files:
            np.testing.assert_allclose(one[name], two[name], rtol=2e-6, atol=1e-5)
