"""Incremental checkpoints: they contain the rows that changed, and restore the same bits as full ones."""

import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from resealed import rewrite

from tfrs_pretrain.artifacts import read_manifest
from tfrs_pretrain.embeddings import touched_rows
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.embeddings.tables import EmbeddingTable
from tfrs_pretrain.ranking.transfer.meda import NewTables, TableGroups
from tfrs_pretrain.training.checkpoint import Checkpoints
from tfrs_pretrain.training.checkpoint_writer import MAX_INCREMENTS, Chain
from tfrs_pretrain.training.retention import to_keep

RUN, ROWS, DIM = {"seed": 3}, 50, 3
OPTIMIZERS = {"adagrad": make_optimizer("adagrad"), "rowwise_adagrad": make_optimizer("rowwise_adagrad", l2=0.1),
              "lazy_adam": make_optimizer("lazy_adam", l2=0.1, interval_decay=0.2)}
FULL, FIRST, SECOND = "step-000000000", "step-000000001", "step-000000002"


@pytest.fixture(autouse=True)
def _all_tables_are_tracked(monkeypatch):
    monkeypatch.setattr(touched_rows, "MIN_ROWS", ROWS)


class State:
    """A table with a variable of no table."""

    def __init__(self, optimizer=OPTIMIZERS["lazy_adam"], seed=0):
        values = np.random.default_rng(seed).standard_normal((ROWS, DIM))
        self.table = EmbeddingTable("user", values, optimizer)
        self.dense = tf.Variable([1.0, 2.0], name="dense")

    @property
    def variables(self):
        return [*self.table.placed_variables, self.dense]

    def train(self, *ids):
        self.table.apply_gradients(tf.constant(ids, tf.int64), tf.ones([len(ids), DIM]) * 0.3, 0.1)
        self.dense.assign_add([0.5, 0.25])

    def values(self):
        return [variable.numpy() for variable in self.variables]


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "c", RUN, keep=3)


def save(checkpoints, state, step):
    checkpoints.save(step, state.variables, {"epoch": step})
    return state.values()


def saved_chain(checkpoints, optimizer=OPTIMIZERS["lazy_adam"]):
    """A full checkpoint and two increments of a training; the values at each of them."""
    state = State(optimizer)
    state.train(1, 2, 3)
    values = [save(checkpoints, state, 0)]
    for step, ids in ((1, (7, 3, 7)), (2, (49, 0))):
        state.train(*ids)
        values.append(save(checkpoints, state, step))
    return values


def names(checkpoints):
    return [path.name for path in checkpoints.paths]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_increment_has_the_rows_since_the_full_one_and_restores_the_same_bits(checkpoints, name):
    values = saved_chain(checkpoints, OPTIMIZERS[name])
    folder = checkpoints.folder / SECOND
    assert np.load(folder / "000-rows.npy").tolist() == [0, 3, 7, 49]
    assert np.load(folder / "000-user_weights.npy").shape == (4, DIM)
    np.testing.assert_array_equal(np.load(folder / "000-user_weights.npy"), values[2][0][[0, 3, 7, 49]])
    assert np.load(folder / f"{len(values[0]) - 1:03d}-dense.npy").tolist() == [2.5, 2.75]
    for expected in reversed(values):
        state = State(OPTIMIZERS[name], seed=1)
        state.train(40, 41)  # rows that no checkpoint changed
        assert checkpoints.restore(state.variables).step == expected[-1][0] * 2 - 3
        assert_equal(state.values(), expected)
        shutil.rmtree(checkpoints.paths[-1])


def test_a_resumed_run_goes_on_with_increments_of_the_same_full_checkpoint(checkpoints, tmp_path):
    saved_chain(checkpoints)
    resumed, state = Checkpoints(tmp_path / "c", RUN, keep=3), State(seed=1)
    resumed.restore(state.variables)
    state.train(9)
    expected = save(resumed, state, 3)
    assert np.load(resumed.paths[-1] / "000-rows.npy").tolist() == [0, 3, 7, 9, 49]
    again = State(seed=2)
    assert Checkpoints(tmp_path / "c", RUN, keep=3).restore(again.variables).step == 3
    assert_equal(again.values(), expected)


def test_after_a_full_checkpoint_nothing_is_marked(checkpoints):
    saved_chain(checkpoints)
    shutil.rmtree(checkpoints.folder / SECOND)
    shutil.rmtree(checkpoints.folder / FIRST)
    state = State(seed=1)
    checkpoints.restore(state.variables)
    state.train(5)
    save(checkpoints, state, 4)
    assert np.load(checkpoints.paths[-1] / "000-rows.npy").tolist() == [5]


def test_a_table_that_is_not_updated_has_no_rows_in_an_increment(checkpoints):
    frozen, state = State(seed=1).table.placed_variables, State()
    for step in (0, 1):
        state.train(1)
        checkpoints.save(step, [*state.variables, *frozen], {})
    assert np.load(checkpoints.paths[-1] / "006-rows.npy").tolist() == []
    assert np.load(checkpoints.paths[-1] / "006-user_weights.npy").shape == (0, DIM)


def new_rows(number):
    return {"user": np.full((ROWS, DIM), float(number))}


@pytest.mark.parametrize("meda", ["new tables", "groups"])
def test_replaced_rows_are_written_in_full(checkpoints, meda):
    state = State()
    tables = {"user": state.table}
    groups = NewTables(tables, new_rows) if meda == "new tables" else TableGroups(tables, new_rows, 2)
    for step in (0, 1):
        checkpoints.save(step, [*state.variables, *groups.placed_variables], {})
        groups.begin_epoch(step + 2)
        values = [variable.numpy() for variable in (*state.table.placed_variables, *groups.placed_variables)]
    checkpoints.save(2, [*state.variables, *groups.placed_variables], {})
    assert ["base" in read_manifest(path, "checkpoint") for path in checkpoints.paths] == [False] * 3
    assert_equal([np.load(path) for path in sorted(checkpoints.paths[-1].glob("*-user_*.npy"))], values)


def test_many_changed_rows_are_written_in_full(checkpoints):
    state = State()
    for step, ids in enumerate(([1], range(20), range(20, 30))):
        state.train(*ids)
        save(checkpoints, state, step)
    assert ["base" in read_manifest(path, "checkpoint") for path in checkpoints.paths] == [False, True, False]


def test_a_chain_ends_when_an_increment_costs_more_than_the_mean():
    chain = Chain("step-000000000", "digest", full_bytes=1000, spent=1000)
    sizes = [size for size in range(50, 1000, 50) if chain.pays(size) and not chain.add(size)]
    # The means before the increments are 1000, 525, 383, 325, 300, 290, 292.
    assert sizes == [50, 100, 150, 200, 250]
    assert not Chain("step-000000000", "digest", full_bytes=1000, spent=9000).pays(501)
    long = Chain("step-000000000", "digest", full_bytes=1000, spent=1000)
    for _ in range(MAX_INCREMENTS):
        assert long.pays(1)
        long.add(1)
    assert not long.pays(1)


@pytest.mark.parametrize(("file", "damage", "reason"), [
    (f"{SECOND}/000-user_weights.npy", lambda data: data[:-1], "000-user_weights.npy changed after it was written"),
    (f"{SECOND}/000-rows.npy", lambda data: data[:-8] + bytes(8), "000-rows.npy changed after it was written"),
    (f"{SECOND}/000-rows.npy", None, "000-rows.npy is missing"),
    (f"{SECOND}/manifest.json", lambda data: data[:50], "its manifest cannot be read"),
])
def test_a_damaged_increment_is_named_and_the_one_before_used(checkpoints, file, damage, reason):
    values = saved_chain(checkpoints)
    path = checkpoints.folder / file
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    state = State(seed=1)
    assert checkpoints.restore(state.variables).step == 1
    assert checkpoints.damaged == (f"{SECOND} ({reason})",)
    assert_equal(state.values(), values[1])
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [f"damaged-{SECOND}-1", FULL, FIRST]


@pytest.mark.parametrize(("damage", "reason"), [
    (lambda folder: (folder / "001-user_mean.npy").unlink(), "001-user_mean.npy is missing"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "its manifest cannot be read"),
])
def test_a_damaged_full_checkpoint_is_named_and_what_was_written_before_it_used(checkpoints, damage, reason):
    state = State(seed=5)
    before = save(checkpoints, state, 100)
    values = saved_chain(checkpoints := Checkpoints(checkpoints.folder, RUN, keep=3))  # steps 0 to 2: another chain
    assert names(checkpoints) == [FULL, FIRST, SECOND, "step-000000100"]
    (checkpoints.folder / "step-000000100").rename(checkpoints.folder / "step--00000001")  # before them
    damage(checkpoints.folder / FULL)
    found = State(seed=1)
    assert checkpoints.restore(found.variables).step == 100
    assert checkpoints.damaged == (f"{SECOND} (its full checkpoint {FULL}: {reason})",
                                   f"{FIRST} (its full checkpoint {FULL}: {reason})", f"{FULL} ({reason})")
    assert_equal(found.values(), before)
    assert len(values) == 3


def test_an_increment_of_another_full_checkpoint_is_not_used(checkpoints):
    saved_chain(checkpoints)
    manifest = checkpoints.folder / FULL / "manifest.json"
    rewrite(manifest, read_manifest(manifest.parent, "checkpoint") | {"progress": {"epoch": 8}})
    assert checkpoints.restore(State().variables).progress == {"epoch": 8}
    assert checkpoints.damaged[0] == f"{SECOND} (its full checkpoint {FULL} was replaced)"


def test_an_increment_without_its_full_checkpoint_is_not_used(checkpoints):
    saved_chain(checkpoints)
    shutil.rmtree(checkpoints.folder / FULL)
    state = State(seed=1)
    before = state.values()
    assert checkpoints.restore(state.variables) is None
    assert checkpoints.damaged[0] == f"{SECOND} (its full checkpoint {FULL} is missing)"
    assert_equal(state.values(), before)


def test_a_full_checkpoint_is_written_where_the_last_one_is_gone_or_is_to_be_replaced(checkpoints):
    saved_chain(checkpoints)
    shutil.rmtree(checkpoints.folder / FULL)
    state = State()
    save(checkpoints, state, 3)
    save(checkpoints, state, 3)
    assert "base" not in read_manifest(checkpoints.folder / "step-000000003", "checkpoint")
    save(checkpoints, state, 4)
    assert "base" in read_manifest(checkpoints.folder / "step-000000004", "checkpoint")


def test_a_full_checkpoint_is_kept_while_an_increment_needs_it(tmp_path):
    checkpoints, state = Checkpoints(tmp_path / "c", RUN, keep=2), State()
    for step in range(5):
        state.train(step)
        save(checkpoints, state, step)
    assert names(checkpoints) == [FULL, "step-000000003", "step-000000004"]


@pytest.mark.parametrize(("keep", "ages", "kept"), [
    (2, "abc", "bc"), (1, "abC", "C"),
    (2, "aA1A2A3", "aA2A3"), (1, "aA1A2A3", "aA3"),
    (2, "aA1A2bB1B2B3", "aA2bB2B3"), (1, "aA1A2bB1B2B3", "bB3"), (2, "aA1A2b", "aA2b"), (3, "aA1bB1", "aA1bB1"),
])
def test_retention(keep, ages, kept):
    """A letter is a full checkpoint; its capital with a number is an increment."""
    def parsed(text):
        return [first + (text[at + 1] if text[at + 1:at + 2].isdigit() else "")
                for at, first in enumerate(text) if not first.isdigit()]

    bases = {name: name[0].lower() for name in parsed(ages) if len(name) > 1}
    assert to_keep(parsed(ages), keep, bases) == set(parsed(kept))


class Snapshots:
    """Copies of a folder before each operation on a file below it: what a killed process would leave."""

    def __init__(self):
        self.source, self.target, self.count = None, None, 0
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        source = self.source
        changes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir") or (
            event == "open" and isinstance(arguments[1], str) and "r" not in arguments[1])
        if source is not None and changes:
            self.source = None
            shutil.copytree(source, self.target / str(self.count))
            self.count, self.source = self.count + 1, source


SNAPSHOTS = Snapshots()


def test_killed_before_any_operation_the_old_or_the_new_one_is_restored(tmp_path):
    checkpoints, state = Checkpoints(tmp_path / "c", RUN, keep=1), State()
    expected = {}
    SNAPSHOTS.target, SNAPSHOTS.count = tmp_path / "killed", 0
    for step, ids in enumerate(([1], [2], [3], range(40), [5])):  # full, two increments, full, increment
        state.train(*ids)
        SNAPSHOTS.source = checkpoints.folder if step else None
        expected[step] = save(checkpoints, state, step)
        SNAPSHOTS.source = None
    shutil.copytree(checkpoints.folder, tmp_path / "killed" / str(SNAPSHOTS.count))
    steps = []
    for number in range(SNAPSHOTS.count + 1):
        found = State(seed=1)
        killed = Checkpoints(tmp_path / "killed" / str(number), RUN, keep=1)
        steps.append(killed.restore(found.variables).step)
        assert killed.damaged == ()
        assert_equal(found.values(), expected[steps[-1]])
    assert steps == sorted(steps)
    assert {*steps} == {0, 1, 2, 3, 4}
    assert SNAPSHOTS.count > 60
