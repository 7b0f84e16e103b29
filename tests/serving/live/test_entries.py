"""Entries of ids against dictionaries of the places at each epoch."""

import random

import numpy as np
import tensorflow as tf

from tfrs_pretrain.serving.live.entries import BASE, KNOWN, PLACE, Moves, gone
from tfrs_pretrain.serving.live.epochs import Epochs

IDS, PLACES, EPOCHS = 6, 9, 60


def test_a_request_sees_the_places_of_its_epoch_while_the_next_update_is_written():
    draw, epochs = random.Random(4), Epochs()
    moves = Moves(PLACES, epochs)
    entries, changed, states = np.zeros(IDS, np.int64), np.zeros(IDS, np.int64), [{}]
    for epoch in range(1, EPOCHS):
        before = states[-1]
        free = [place for place in range(PLACES) if place not in before.values()]
        moved = draw.sample(range(IDS), draw.randint(0, 3))
        removed = draw.sample([each for each in range(IDS) if each not in moved], 1)
        places = np.array(draw.sample(free, len(moved)), np.int64)
        moves.announce(tf.constant(epoch))
        moves.write(places + 1, entries[moved], tf.constant(epoch))
        entries[removed] = gone(tf.constant(entries[removed]), tf.constant(epoch))
        entries[moved] = (places + 1) * BASE + KNOWN + places
        changed[moved + removed] = epoch
        later = before | dict(zip(moved, places.tolist(), strict=True))
        states.append({key: place for key, place in later.items() if key not in removed})
        for seen in (epoch - 1, epoch):
            epochs._epoch.assign(seen)
            parts = moves.resolve([tf.constant(entries[:2]), tf.constant(entries[2:])])
            found = np.concatenate([part.numpy() for part in parts])
            assert {key: low & PLACE for key, low in enumerate(found.tolist()) if low > 0} == states[seen]
        np.testing.assert_array_equal(moves.since(tf.constant(entries)), changed)
    assert len({len(state) for state in states}) > 3
