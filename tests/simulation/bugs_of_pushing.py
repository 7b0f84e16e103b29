"""Bugs in the push to a running server, and in the served model that takes it."""

import dataclasses

import numpy as np
from live_model import LiveModel, Places, RefusedError
from planting import bug

from tfrs_pretrain.serving.pushing import chunks, push, sender
from tfrs_pretrain.serving.pushing.sender import Sender
from tfrs_pretrain.serving.verification import pushed_state

# ---- planning ----

@bug(first=1)
def tombstones_unsent():
    """a push does not send tombstones: an evicted id is still served"""
    before = chunks._vocabulary_parts
    yield chunks, "_vocabulary_parts", lambda name, vocabulary, changed, gone, values: before(
        name, vocabulary, changed, gone.slice(0, 0), values)


@bug(first=1)
def shared_rows_unsent():
    """a push does not send rows that unknown ids share"""
    def vocabulary_parts(name, vocabulary, changed, gone, values):
        own = changed >= vocabulary.oov_rows
        return before(name, vocabulary, changed[own], gone, {table: rows.take(own) for table, rows in values.items()})

    before = chunks._vocabulary_parts
    yield chunks, "_vocabulary_parts", vocabulary_parts


@bug(first=1)
def dense_unpushed():
    """a push does not send dense weights"""
    before = chunks.delta_chunks

    def delta_chunks(delta, later, predecessor, live):
        for chunk in before(delta, later, predecessor, live):
            yield dataclasses.replace(chunk, inputs=chunk.inputs | {"dense": np.array(b"", object)})

    yield push, "delta_chunks", delta_chunks


@bug(first=1)
def rows_by_id_order():
    """a push sends the rows of a chunk in the order of another chunk"""
    before = chunks._vocabulary_parts

    def vocabulary_parts(name, vocabulary, changed, gone, values):
        moved = {table: rows.take(np.roll(np.arange(len(changed)), 1)) for table, rows in values.items()}
        return before(name, vocabulary, changed, gone, moved)

    yield chunks, "_vocabulary_parts", vocabulary_parts


# ---- order, resumption, replay ----

@bug(first=8)
def chunk_skipped():
    """a push that continues another one leaves out a chunk"""
    before = push._missing

    def missing(chain, live, found):
        for number, sent in before(chain, live, found):
            yield number, sent[1:] if "#" in found else sent

    yield push, "_missing", missing


@bug(first=8)
def part_counts_as_whole():
    """a push takes a delta that the server has in part for a whole one"""
    before = pushed_state.num_applied
    yield push, "num_applied", lambda chain, version: before(chain, version.partition("#")[0])


@bug(first=1)
def restart_overlooked():
    """a push does not replay deltas that a restarted server has lost"""
    before = pushed_state.num_applied

    def num_applied(chain, version):
        last[chain.base] = max(last.get(chain.base, 0), before(chain, version))
        return last[chain.base]

    last = {}
    yield push, "num_applied", num_applied


@bug(first=1)
def lost_answer_fatal():
    """a push ends when the answer to an applied chunk is lost"""
    def request(self, chunk):
        try:
            before(self, chunk)
        except sender.RequestError as error:
            self.state = lambda: dataclasses.replace(pushed_state.server_state(self._client), version="unknown")
            raise error

    before = Sender._request
    yield Sender, "_request", request


@bug(first=5)
def foreign_version_accepted():
    """a push begins with the base whatever version the server has"""
    def num_applied(chain, version):
        try:
            return before(chain, version)
        except push.UserError:
            return len(chain.deltas)

    before = pushed_state.num_applied
    yield push, "num_applied", num_applied


# ---- grace period and memory ----

@bug(first=3)
def settled_at_once():
    """a push calls an epoch settled while requests may still read it"""
    yield Sender, "_settled", lambda self: max((epoch for _, epoch in self._seen), default=0)


@bug(first=1)
def nothing_erased():
    """a push leaves the rows and ids of the evicted in the server's memory"""
    yield push, "_erase", lambda chain, sent: 0


@bug(first=1)
def golden_unread():
    """a push passes although the server answers golden requests with other scores"""
    yield push.PushResult, "passed", property(lambda self: True)
    yield from dense_unpushed()


# ---- the served model ----

@bug(first=1)
def refused_chunk_counts():
    """a refused chunk advances the server's version"""
    def apply_delta(self, inputs):
        try:
            return before(self, inputs)
        except RefusedError:
            self.version = inputs["successor"].item()
            raise

    before = LiveModel.apply_delta
    yield LiveModel, "apply_delta", apply_delta


@bug(first=1)
def visible_before_commit():
    """a request sees chunks before their delta is complete"""
    def apply_delta(self, inputs):
        return before(self, inputs | {"commit": np.array(1)})

    before = LiveModel.apply_delta
    yield LiveModel, "apply_delta", apply_delta


@bug(first=1)
def live_place_overwritten():
    """the server writes new rows into places that are free only for later requests"""
    def taken(self, change, settled):
        return before(self, change, int(self.free_since[self.free_since < 2**31 - 1].max(initial=0)))

    before = Places.taken
    yield Places, "taken", taken
