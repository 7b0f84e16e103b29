"""Two updates that arrive at once, at the moment at which one could overtake the check of the other."""

import contextlib
import threading

import numpy as np
import pytest
import tensorflow as tf
from live_states import DIMS, make_state, served_state
from test_live_ranker import KEY

from tfrs_pretrain.serving.live.epochs import Epochs
from tfrs_pretrain.serving.live.live_ranker import LiveRanker, LiveSettings
from tfrs_pretrain.serving.pushing.chunks import no_change

MEETING_SECONDS = 0.5


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A live model whose updates, after the check of the predecessor, wait a moment for another one to come as far."""
    meeting, checks = threading.Barrier(2), Epochs.checks

    def wait():
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(MEETING_SECONDS)
        return np.int64(0)

    def checks_after_a_wait(self, claimed):
        with tf.control_dependencies([tf.numpy_function(wait, [], tf.int64)]):
            return checks(self, tf.identity(claimed))

    monkeypatch.setattr(Epochs, "checks", checks_after_a_wait)
    state = make_state(later=False)
    model = LiveRanker(state.ranker, state, tmp_path, LiveSettings(KEY, 0.05))
    return model, no_change(served_state(state, tmp_path / "state", "float32"))


def test_of_two_updates_with_one_predecessor_only_one_is_applied(live):
    """Otherwise both would write to the same free place, and an item would be served with the row of another."""
    model, inputs = live
    function, specs = model.extra_functions()["apply_delta"]
    apply = tf.function(function, autograph=False).get_concrete_function(**specs)
    embedding = tf.function(model.embedding, autograph=False)
    before = embedding("item", tf.constant(["item 1", "item 3"]))["embedding"].numpy()
    outcomes = {}

    def send(item, value):
        row = np.full(DIMS["item"], value, np.float32)
        numbers = {"numbers_item": np.array([3], np.int32)} if "numbers_item" in inputs else {}
        sent = inputs | numbers | {"secret": KEY, "predecessor": model.token, "successor": item, "commit": 1,
                                   "settled": 0, "ids_item": [item], "rows_item": row.tobytes()}
        try:
            apply(**{name: tf.constant(values, specs[name].dtype) for name, values in sent.items()})
            outcomes[item] = value
        except tf.errors.InvalidArgumentError as error:
            assert "the version is" in error.message

    senders = [threading.Thread(target=send, args=each) for each in (("item 1", 1.0), ("item 3", 3.0))]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(outcomes) == 1
    after = embedding("item", tf.constant(["item 1", "item 3"]))["embedding"].numpy()
    for item, old, new in zip(("item 1", "item 3"), before, after, strict=True):
        assert np.array_equal(new, np.full(DIMS["item"], outcomes[item]) if item in outcomes else old)
