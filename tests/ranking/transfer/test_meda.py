import numpy as np
import pytest
import tensorflow as tf
from learning import batches, tables

from tfrs_pretrain.config import Config, ContinualMeda, NonContinualMeda
from tfrs_pretrain.ranking.build import build_parts
from tfrs_pretrain.ranking.distillation.step import label_step
from tfrs_pretrain.ranking.transfer.meda import Rounds

CONTINUAL = {"kind": "continual", "chunks": 4}


def slots(learner):
    return [slot.numpy() for table in learner.ranker.tables.values() for slot in (table.step, *table.slots.values())]


def test_each_epoch_has_new_tables_and_optimizer_state_and_the_same_network(build_arm):
    learner, plain = build_arm(epochs=3, meda={}), build_arm()
    step = tf.function(label_step(learner), autograph=False)
    starts = []
    for epoch in (1, 2, 3):
        before = learner.ranker.network.get_weights()
        learner.begin_epoch(epoch)
        for one, other in zip(before, learner.ranker.network.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        assert not any(slot.any() for slot in slots(learner))
        starts.append(tables(learner))
        for batch in batches(4):
            step(batch)
    for name, rows in tables(plain).items():
        np.testing.assert_array_equal(starts[0][name], rows)  # the first epoch is that of any arm
    for one, other in ((0, 1), (1, 2)):
        for name in starts[0]:
            assert not np.array_equal(starts[one][name], starts[other][name])
    assert starts[2]["user"].std() == pytest.approx(0.05, rel=0.1)
    assert int(learner.steps) == 12


def test_pretrained_rows_are_restored_and_other_rows_are_new(build_arm, planted):
    learner = build_arm(transfer="warm_start", epochs=2, meda={})
    step = tf.function(label_step(learner), autograph=False)
    first = tables(learner)
    for batch in batches(3):
        step(batch)
    learner.begin_epoch(2)
    again = tables(learner)
    np.testing.assert_array_equal(again["user"][2:], planted.users[2:])
    assert not np.array_equal(again["user"][:2], first["user"][:2])
    assert not np.array_equal(again["place"], first["place"])


def test_groups_take_turns_and_each_continues_where_it_stopped(build_arm):
    """Three groups over two chunks: a group's rows and state do not change while the others train."""
    learner = build_arm(epochs=3, meda=CONTINUAL)
    step = tf.function(label_step(learner), autograph=False)
    begun, ended = {}, {}
    for number in range(1, 7):
        learner.begin_epoch(number)
        begun[number] = [*tables(learner).values(), *slots(learner)]
        for batch in batches(3, seed=number):
            step(batch)
        ended[number] = [*tables(learner).values(), *slots(learner)]
    for number in (1, 2, 3):
        for one, other in zip(ended[number], begun[number + 3], strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(begun[1][0], begun[2][0])
    assert not np.array_equal(begun[2][0], begun[3][0])


def test_parked_groups_are_part_of_the_checkpoint(build_arm):
    plain, grouped = build_arm(), build_arm(epochs=3, meda=CONTINUAL)
    own = sum(int(tf.size(variable)) for table in plain.ranker.tables.values()
              for variable in (table.weights, *table.slots.values(), table.step))
    sizes = [sum(int(tf.size(variable)) for variable in learner.variables) for learner in (plain, grouped)]
    assert sizes[1] - sizes[0] == 2 * own


def test_rounds_read_the_data_by_epoch_or_by_chunk():
    plain = Rounds.from_config(None, epochs=3, steps=10)
    assert (plain.count, plain.steps) == (3, 10)
    assert [plain.data(number) for number in (1, 2, 3)] == [(0, 0), (1, 0), (2, 0)]
    assert Rounds.from_config(NonContinualMeda(), epochs=3, steps=10) == plain
    chunked = Rounds.from_config(ContinualMeda(**CONTINUAL), epochs=2, steps=11)
    assert (chunked.count, chunked.steps) == (8, 2)
    assert [chunked.data(number) for number in range(1, 9)] == [
        (0, 0), (0, 0), (0, 2), (0, 2), (0, 4), (0, 4), (0, 6), (0, 6)]


def test_all_groups_see_a_chunk_before_the_next_chunk(planted, config):
    tree = config.resolved()
    tree["ranking"]["arms"]["meda"] = {"epochs": 2, "meda": CONTINUAL}
    config = Config.model_validate(tree)
    parts = build_parts(config, planted.dataset, config.ranking.arms["meda"], None, steps=62)
    assert (parts.rounds.count, parts.rounds.steps) == (8, 15)

    def seen(number, start=0):
        batches = parts.batches(planted.dataset, number, start, batch_size=128, seed=4).take(15 - start)
        return np.concatenate([batch["dwell"] for batch in batches])

    np.testing.assert_array_equal(seen(1), seen(2))
    np.testing.assert_array_equal(seen(3)[128 * 5:], seen(4, start=5))
    assert not set(seen(1)) & set(seen(3))
