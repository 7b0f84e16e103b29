"""Bugs in forgetting; most of them also in the product's own check."""

import dataclasses

from planting import bug

from tfrs_pretrain.forgetting import dataset, deltas, exported, kinds, run, tables
from tfrs_pretrain.forgetting.artifact import Removed
from tfrs_pretrain.serving.deltas import earlier_states
from tfrs_pretrain.vocabulary import Vocabulary

# ---- forgetting ----

@bug()
def rows_not_zeroed():
    """forget leaves the values of freed rows, and its check does not look"""
    yield tables, "with_zero_rows", lambda path, rows: 0
    yield tables, "filled_rows", lambda path, rows: rows[:0]


@bug()
def lookup_not_erased():
    """forget leaves the lookup of exported versions, and its check does not look"""
    yield exported, "_erase_asset", lambda folder, ids, freed: 0
    yield run, "find_leaks", lambda found, ids: []


@bug()
def probability_kept():
    """forget leaves the frequency of an item"""
    yield dataset, "_write_probability", lambda folder, info, types: None


@bug()
def deleted_uncounted():
    """forgotten ids are not counted as deleted"""
    def with_freed(self, rows):
        found = before(self, rows)
        found.forgotten = self.forgotten
        return found

    before = Vocabulary.with_freed
    yield Vocabulary, "with_freed", with_freed


@bug()
def histories_kept():
    """forget leaves an item in the histories of users, and its check does not look"""
    yield dataset, "without_elements", lambda lists, rows: (lists, 0)
    yield run, "find_leaks", lambda found, ids: []


@bug(first=6)
def golden_kept():
    """forget leaves ids in golden requests, and its check does not look"""
    yield exported, "erase_golden", lambda path, ids: 0
    yield run, "find_leaks", lambda found, ids: []


@bug()
def index_kept():
    """forget leaves the entry of an item index, and its check does not look"""
    changed = dataclasses.replace(kinds.KINDS["item_index"], erase=lambda folder, manifest, ids: Removed())
    yield kinds, "KINDS", kinds.KINDS | {"item_index": changed}
    yield run, "KINDS", kinds.KINDS | {"item_index": changed}
    yield run, "find_leaks", lambda found, ids: []


# ---- deltas and running servers ----

@bug(first=1)
def tombstones_kept():
    """forget leaves ids and tombstones in deltas, and its check does not look"""
    yield deltas._Eraser, "run", lambda self, ids: None
    yield run, "find_leaks", lambda found, ids: []


@bug(first=1)
def stale_server_renamed():
    """a push takes a server that still has forgotten ids for one without them"""
    yield earlier_states, "_has_rows", lambda entries: False


@bug(first=1)
def token_kept():
    """forget leaves the name of the state that running servers have loaded"""
    yield exported, "_renew_live", lambda folder, manifest, space, freed: {}
