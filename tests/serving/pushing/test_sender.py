"""Waiting, lost answers and limits of the sender, with a server of a few lines and a clock that does not wait."""

import numpy as np
import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import RequestError
from tfrs_pretrain.serving.pushing.chunks import Chunk
from tfrs_pretrain.serving.pushing.sender import Sender
from tfrs_pretrain.serving.verification.pushed_state import server_state

KEY, GRACE = bytes(32), 5.0
BUSY = "live update: an id changed less than the grace period ago, wait and send again"


class Server:
    """Takes chunks in order; ``refusals``: position of a request -> message; ``lost``: requests without an answer."""

    def __init__(self, refusals=None, lost=()):
        self.version, self.epoch, self.requests = "base", 0, []
        self.refusals, self.lost = dict(refusals or {}), set(lost)

    def predict(self, request):
        if request.signature == "delta_version":
            return {"version": np.array(self.version.encode(), object), "epoch": np.array(self.epoch),
                    "free_user": np.array(3), "old_user": np.array(2), "old_item": np.array(1)}
        inputs, number = {name: values.item() for name, values in request.inputs.items()}, len(self.requests)
        self.requests.append(inputs)
        if number in self.refusals:
            raise RequestError("INVALID_ARGUMENT", self.refusals[number], "server")
        assert inputs["predecessor"] == self.version
        assert inputs["secret"] == KEY
        self.version, self.epoch = inputs["successor"], self.epoch + inputs["commit"]
        if number in self.lost:
            raise RequestError("UNAVAILABLE", "connection reset", "server")
        return {"version": np.array(self.version.encode(), object), "epoch": np.array(self.epoch)}

    def sent(self, name):
        return [request[name] for request in self.requests]


@pytest.fixture
def clock(monkeypatch):
    times = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: times[0])

    def sleep(seconds):
        times[0] += seconds

    sleep.times = times
    return sleep


def chunks(*versions):
    pairs = zip(("base", *versions), versions, strict=False)
    return [Chunk(one, other, {"commit": np.array(int(other == versions[-1]))}) for one, other in pairs]


def test_an_epoch_is_settled_a_grace_period_after_it_was_seen(clock):
    server = Server()
    sender = Sender(server, KEY, GRACE, clock)
    sender.send(chunks("a"))
    clock(GRACE - 1)
    sender.send([Chunk("a", "b", {"commit": np.array(1)})])
    clock(1)
    sender.send([Chunk("b", "c", {"commit": np.array(1)})])
    sender.settle()
    sender.send([Chunk("c", "d", {"commit": np.array(0)})])
    assert server.sent("settled") == [0, 0, 1, 3]
    assert clock.times[0] == pytest.approx(100 + 2 * GRACE, abs=0.1)
    assert sender.sent == 4


@pytest.mark.parametrize("message", [BUSY, "live update: no free places, free: 1 needed: 2"])
def test_a_refusal_that_time_cures_is_waited_out_after_a_commit(clock, message):
    server = Server({1: message})
    Sender(server, KEY, GRACE, clock).send(chunks("d#0", "d#1", "d"))
    # d#0; d#1 refused; commit of what is there; d#1 again with the settled epoch; d
    assert list(zip(server.sent("successor"), server.sent("commit"), server.sent("settled"), strict=True)) == [
        ("d#0", 0, 0), ("d#1", 0, 0), ("d#0", 1, 0), ("d#1", 0, 1), ("d", 1, 1)]


def test_too_few_places_end_the_push(clock):
    message = "live update: no free places, free: 1 needed: 2"
    with pytest.raises(UserError, match=r"too few spare places .* larger export\.live_spare"):
        Sender(Server({0: message, 2: message}), KEY, GRACE, clock).send(chunks("d"))


def test_a_chunk_whose_answer_was_lost_is_not_sent_again(clock):
    server = Server(lost=[1])
    Sender(server, KEY, GRACE, clock).send(chunks("d#0", "d#1", "d"))
    assert server.sent("successor") == ["d#0", "d#1", "d"]


def test_other_refusals_end_the_push(clock):
    with pytest.raises(RequestError, match="expected bytes"):
        Sender(Server({0: "live update: expected bytes"}), KEY, GRACE, clock).send(chunks("d"))


def test_the_state_of_a_server():
    state = server_state(Server())
    assert (state.version, state.epoch, state.old) == ("base", 0, 3)


def test_a_model_without_live_updates_is_named():
    class Static:
        def predict(self, request):
            raise RequestError("FAILED_PRECONDITION", "serving signature key not found", "server")

    with pytest.raises(UserError, match=r"takes no live updates .* export\.live_updates=true"):
        server_state(Static())
