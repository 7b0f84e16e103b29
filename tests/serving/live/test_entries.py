"""Entries of ids against dictionaries of the places at each epoch."""

import random

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrs_pretrain.serving.live.entries import OWN, PLACE, Entries, gone, layouts
from tfrs_pretrain.serving.live.epochs import Epochs
from tfrs_pretrain.vocabulary import Vocabulary

IDS, SHARED, PLACES, EPOCHS = 6, 2, 11, 60


def make_entries(epochs, others=3):
    """Entries of a vocabulary, behind those of another one with ids of its own."""
    vocabularies = {name: Vocabulary(pa.array(range(number)), np.zeros(number, np.int64), oov)
                    for name, number, oov in (("other", others, 1), ("ids", IDS, SHARED))}
    layout = layouts(vocabularies, {"other": others + 2, "ids": PLACES})
    return Entries(vocabularies, layout, epochs), layout["ids"]


def test_layouts_have_the_shared_rows_of_all_vocabularies_first():
    _, layout = make_entries(Epochs())
    assert (layout.shared, layout.own, layout.first_slot, layout.num_places) == (1, 1 + SHARED + 3, 1 + 5, PLACES)
    assert (layout.numbering.shared, layout.numbering.own + SHARED) == (1, layout.own)


def test_at_first_the_place_of_a_row_is_its_number():
    entries, layout = make_entries(Epochs())
    positions = np.concatenate([layout.shared + np.arange(SHARED), layout.own + np.arange(IDS)])
    assert [entry & PLACE for entry in entries.at(tf.constant(positions)).numpy().tolist()] == [*range(SHARED + IDS)]
    assert entries.is_base(tf.constant(positions)).numpy().tolist() == [False] * SHARED + [True] * IDS


def test_a_request_sees_the_places_of_its_epoch_while_the_next_update_is_written():
    draw, epochs = random.Random(4), Epochs()
    entries, layout = make_entries(epochs)
    keys = tf.constant(layout.own + np.arange(IDS), tf.int64)
    changed, states = np.zeros(IDS, np.int64), [{key: SHARED + key for key in range(IDS)}]
    for epoch in range(1, EPOCHS):
        before = states[-1]
        free = [place for place in range(PLACES) if place not in before.values()]
        moved = draw.sample(range(IDS), draw.randint(0, 3))
        removed = draw.sample([each for each in range(IDS) if each not in moved], 1)
        places = np.array(draw.sample(free, len(moved)), np.int64)
        entries.announce(tf.constant(epoch), tf.constant(0))
        present = entries.at(keys).numpy()
        new = layout.entries(tf.constant(places)) + OWN
        entries.write_slots(new, tf.constant(present[moved]), tf.constant(epoch))
        entries.write(tf.gather(keys, tf.constant(moved, tf.int32)), new)
        entries.write(tf.gather(keys, removed), gone(tf.constant(present[removed]), tf.constant(epoch)))
        changed[moved + removed] = epoch
        later = before | dict(zip(moved, places.tolist(), strict=True))
        states.append({key: place for key, place in later.items() if key not in removed})
        for seen in (epoch - 1, epoch):
            epochs._epoch.assign(seen)
            found = entries.resolve(entries.at(keys)).numpy()
            assert {key: low & PLACE for key, low in enumerate(found.tolist()) if low > 0} == states[seen]
            plain = entries.are_plain(entries.at(keys)).numpy()
            assert plain == (seen == epoch and len(states[seen]) == IDS)
        np.testing.assert_array_equal(entries.since(entries.at(keys)), changed)
    assert len({len(state) for state in states}) > 3


def test_ids_that_the_base_version_does_not_have_are_unsure_once_some_were_added():
    entries, layout = make_entries(Epochs())
    shared, known = (tf.constant([position], tf.int64) for position in (layout.shared, layout.own))
    for number, expected in ((0, True), (2, False), (0, False)):
        entries.announce(tf.constant(0), tf.constant(number))
        assert entries.are_plain(entries.at(shared)).numpy() == expected
        assert entries.are_plain(entries.at(known)).numpy()
