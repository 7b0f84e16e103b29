"""Each sparse optimizer, rows and state, against a naive per-row twin in numpy; Adagrad also against Keras."""

import numpy as np
import pytest
import tensorflow as tf

from tfrs_pretrain.embeddings.adagrad import Adagrad, RowwiseAdagrad
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable, normal_matrix

ROWS, DIM, RATE = 7, 3, 0.05
# Ids repeat inside a batch, and row 6 never appears.
BATCHES = [np.array([1, 4, 1, 1, 0]), np.array([4, 4, 2]), np.array([1, 5, 3, 3, 0, 2])]


def gradients(batch: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(batch), DIM))


def summed(batch: np.ndarray, gradient: np.ndarray) -> dict[int, np.ndarray]:
    """Row -> sum of the gradients of its occurrences."""
    return {row: gradient[batch == row].sum(axis=0) for row in set(batch.tolist())}


def apply(table: EmbeddingTable, batch: np.ndarray, gradient: np.ndarray) -> None:
    table.apply_gradients(tf.constant(batch), tf.constant(gradient, tf.float32), RATE)


class NaiveAdam:
    def __init__(self) -> None:
        self.mean, self.square, self.updates = np.zeros((ROWS, DIM)), np.zeros((ROWS, DIM)), 0

    @property
    def slots(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "square": self.square}

    def step(self, weights: np.ndarray, sums: dict[int, np.ndarray]) -> None:
        self.updates += 1
        for row, gradient in sums.items():
            self.mean[row] = 0.9 * self.mean[row] + 0.1 * gradient
            self.square[row] = 0.999 * self.square[row] + 0.001 * gradient**2
            mean = self.mean[row] / (1 - 0.9**self.updates)
            square = self.square[row] / (1 - 0.999**self.updates)
            weights[row] -= RATE * mean / (np.sqrt(square) + 1e-8)


class NaiveAdagrad:
    def __init__(self, rowwise: bool, initial: float = 0.0) -> None:
        self.rowwise, self.total = rowwise, np.full((ROWS, DIM), initial)

    @property
    def slots(self) -> dict[str, np.ndarray]:
        return {"accumulator": self.total[:, :1] if self.rowwise else self.total}

    def step(self, weights: np.ndarray, sums: dict[int, np.ndarray]) -> None:
        for row, gradient in sums.items():
            self.total[row] += np.mean(gradient**2) if self.rowwise else gradient**2
            weights[row] -= RATE * gradient / np.sqrt(self.total[row])


def assert_slots(table: EmbeddingTable, twin: NaiveAdam | NaiveAdagrad) -> None:
    """The optimizer's state is the twin's, as are its names."""
    assert {*table.slots} - {"last_step"} == {*twin.slots}
    for name, expected in twin.slots.items():
        np.testing.assert_allclose(table.slots[name], expected, rtol=2e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize(("name", "twin"), [
    ("lazy_adam", NaiveAdam()), ("adagrad", NaiveAdagrad(False)), ("rowwise_adagrad", NaiveAdagrad(True))])
def test_matches_naive_twin_when_ids_repeat(name, twin):
    initial = normal_matrix(ROWS, DIM, 1.0, seed=1)
    table = EmbeddingTable("t", initial, make_optimizer(name))
    expected = initial.astype(np.float64)
    for seed, batch in enumerate(BATCHES):
        gradient = gradients(batch, seed)
        apply(table, batch, gradient)
        twin.step(expected, summed(batch, gradient))
    assert_slots(table, twin)
    np.testing.assert_allclose(table.numpy(), expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(table.numpy()[6], initial[6])
    assert np.abs(table.numpy()[:6] - initial[:6]).min() > 1e-4


def test_adagrad_matches_keras():
    initial = normal_matrix(ROWS, DIM, 1.0, seed=2)
    table = EmbeddingTable("t", initial, Adagrad(initial_accumulator=0.1, epsilon=1e-7))
    variable = tf.Variable(initial)
    keras_optimizer = tf.keras.optimizers.Adagrad(RATE, initial_accumulator_value=0.1, epsilon=1e-7)
    for seed, batch in enumerate(BATCHES):
        gradient = tf.constant(gradients(batch, seed), tf.float32)
        table.apply_gradients(tf.constant(batch), gradient, RATE)
        dense = tf.math.unsorted_segment_sum(gradient, batch, ROWS)
        keras_optimizer.apply_gradients([(dense, variable)])
    np.testing.assert_allclose(table.numpy(), variable.numpy(), rtol=0, atol=1e-6)


def test_rowwise_adagrad_starts_at_its_initial_accumulator():
    initial, twin = normal_matrix(ROWS, DIM, 1.0, seed=2), NaiveAdagrad(True, 0.1)
    table, expected = EmbeddingTable("t", initial, RowwiseAdagrad(initial_accumulator=0.1)), initial.astype(np.float64)
    for seed, batch in enumerate(BATCHES):
        gradient = gradients(batch, seed)
        apply(table, batch, gradient)
        twin.step(expected, summed(batch, gradient))
    assert_slots(table, twin)
    np.testing.assert_allclose(table.numpy(), expected, rtol=0, atol=2e-6)


def test_rowwise_state_is_one_value_per_row():
    assert {key: slot.shape for key, slot in EmbeddingTable(
        "t", normal_matrix(5, 8, 1.0, 0), make_optimizer("rowwise_adagrad")).slots.items()} == {"accumulator": (5, 1)}


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown sparse optimizer 'sgd'"):
        make_optimizer("sgd")


@pytest.mark.parametrize(("name", "make_twin"), [
    ("lazy_adam", NaiveAdam), ("rowwise_adagrad", lambda: NaiveAdagrad(True))])
def test_l2_matches_naive_twin(name, make_twin):
    initial = normal_matrix(ROWS, DIM, 1.0, seed=3)
    table = EmbeddingTable("t", initial, make_optimizer(name, l2=0.3))
    expected, twin = initial.astype(np.float64), make_twin()
    for seed, batch in enumerate(BATCHES):
        gradient = gradients(batch, seed)
        apply(table, batch, gradient)
        # Once per row and step, however often the row occurs in the batch.
        twin.step(expected, {row: total + 0.3 * expected[row] for row, total in summed(batch, gradient).items()})
    assert_slots(table, twin)
    np.testing.assert_allclose(table.numpy(), expected, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(table.numpy()[6], initial[6])


def test_only_interval_decay_needs_state():
    assert make_optimizer("lazy_adam", l2=0.1).slot_specs(4).keys() == {"mean", "square"}
    assert make_optimizer("lazy_adam", interval_decay=0.1).slot_specs(4).keys() == {"mean", "square", "last_step"}


# Row 0 takes part in steps 1, 6 and 7: intervals 0 (its first), 4 and 0.
VISITS = [[0, 1], [1], [1], [1, 2], [1], [0, 1, 0], [0, 1]]


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("alpha", [0.1, 0.4])
@pytest.mark.parametrize(("name", "make_twin"), [
    ("lazy_adam", NaiveAdam), ("adagrad", lambda: NaiveAdagrad(False))])
def test_interval_decay_is_algorithm_1_of_adamar(name, make_twin, alpha, l2):
    """alpha 0.4 and four absences reach the bound of 1: the old row is forgotten and only the update is left."""
    initial = normal_matrix(ROWS, DIM, 1.0, seed=4)
    table = EmbeddingTable("t", initial, make_optimizer(name, l2=l2, interval_decay=alpha))
    expected, twin, last = initial.astype(np.float64), make_twin(), {}
    for step, visited in enumerate(VISITS, 1):
        batch = np.array(visited)
        gradient = gradients(batch, step)
        apply(table, batch, gradient)
        sums = {row: total + l2 * expected[row] for row, total in summed(batch, gradient).items()}
        for row in set(visited):
            interval = step - last.get(row, step - 1) - 1
            expected[row] *= 1 - min(1.0, alpha * interval)
            if name == "lazy_adam":  # the moments decay while the gradient is zero
                twin.mean[row], twin.square[row] = 0.9**interval * twin.mean[row], 0.999**interval * twin.square[row]
            last[row] = step
        twin.step(expected, sums)
    assert_slots(table, twin)
    assert table.slots["last_step"].numpy()[:, 0].tolist() == [last.get(row, 0) for row in range(ROWS)]
    np.testing.assert_allclose(table.numpy(), expected, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(table.numpy()[3:], initial[3:])


def test_interval_decay_spares_rows_of_every_batch_and_rows_before_their_first_update():
    initial = normal_matrix(ROWS, DIM, 1.0, seed=5)
    tables = [EmbeddingTable("t", initial, make_optimizer("adagrad", interval_decay=decay)) for decay in (0.0, 0.5)]
    for step, visited in enumerate([[1], [1], [1], [1, 2]]):
        for table in tables:
            gradient = gradients(np.array(visited), step)
            table.apply_gradients(tf.constant(visited), tf.constant(gradient, tf.float32), RATE)
    np.testing.assert_array_equal(tables[0].numpy(), tables[1].numpy())


def test_reset_replaces_rows_and_state():
    initial, again = normal_matrix(ROWS, DIM, 1.0, seed=6), normal_matrix(ROWS, DIM, 1.0, seed=7)
    optimizer = make_optimizer("lazy_adam", interval_decay=0.1)
    table, fresh = EmbeddingTable("t", initial, optimizer), EmbeddingTable("t", again, optimizer)
    for seed, batch in enumerate(BATCHES):
        table.apply_gradients(tf.constant(batch), tf.constant(gradients(batch, seed), tf.float32), RATE)
    table.reset(again)
    for one, other in zip((table.weights, table.step, *table.slots.values()),
                          (fresh.weights, fresh.step, *fresh.slots.values()), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["lazy_adam", "rowwise_adagrad", "adagrad"])
def test_inactive_updates_leave_no_trace(name):
    """Bits of the rows, the state and the step counter: a later start equals a start without them."""
    initial = normal_matrix(ROWS, DIM, 1.0, seed=8)
    optimizer = make_optimizer(name, l2=0.1, interval_decay=0.1)
    table, later = EmbeddingTable("t", initial, optimizer), EmbeddingTable("t", initial, optimizer)
    for active in (False, True):
        for seed, batch in enumerate(BATCHES):
            gradient = tf.constant(gradients(batch, seed), tf.float32)
            table.apply_gradients(tf.constant(batch), gradient, RATE, active=tf.constant(active))
            if active:
                later.apply_gradients(tf.constant(batch), gradient, RATE)
        if not active:
            np.testing.assert_array_equal(table.numpy(), initial)
    for one, other in zip((table.weights, table.step, *table.slots.values()),
                          (later.weights, later.step, *later.slots.values()), strict=True):
        np.testing.assert_array_equal(one, other)
