"""Bugs in deltas, in labels and in what is served."""

import dataclasses

import pyarrow as pa
import serving_operations
from planting import bug

from tfrs_pretrain.evaluation.promotion import PROMOTED, Promotion
from tfrs_pretrain.serving.deltas import chain
from tfrs_pretrain.serving.deltas.chain import Chain
from tfrs_pretrain.serving.deltas.delta import Delta, StateChange
from tfrs_pretrain.serving.deltas.table_change import TableChange
from tfrs_pretrain.serving.deltas.vocabulary_change import VocabularyChange
from tfrs_pretrain.serving.exporting import compaction
from tfrs_pretrain.serving.graph import lookup
from tfrs_pretrain.serving.graph.served_tables import StoredRows
from tfrs_pretrain.serving.labels import moves, rollout

# ---- deltas ----

@bug(first=8)
def stale_accepted():
    """a stale delta of an aborted run is replayed"""
    def check_place(found, folder, manifest):
        before(found, folder, manifest | {"predecessor": found.digest})

    before = chain._check_place
    yield chain, "_check_place", check_place
    yield Delta, "_compare", lambda self, part, found: None


@bug()
def gap_accepted():
    """a chain with a gap is read"""
    before = chain._next_delta
    yield chain, "_next_delta", lambda found, folder, expected: before(found, folder, int(folder.name))
    yield chain, "_check_place", lambda found, folder, manifest: None


@bug()
def copy_accepted():
    """a copied delta is applied twice"""
    yield chain, "_check_place", lambda found, folder, manifest: None


@bug()
def foreign_accepted():
    """a delta of another base is applied"""
    yield chain, "_check_place", lambda found, folder, manifest: None
    yield Delta, "_compare", lambda self, part, found: None


@bug()
def diff_against_base():
    """a delta is the difference from the base instead of base and deltas"""
    yield Chain, "state", Chain.base_state


@bug()
def tombstones_lost():
    """an evicted id is still served: a delta does not free its row"""
    def apply(self, earlier):
        gone = self.ids.is_null().to_numpy(zero_copy_only=False)
        kept = dataclasses.replace(self, positions=self.positions[~gone], ids=self.ids.filter(pa.array(~gone)))
        return before(kept, earlier)

    before = VocabularyChange.apply
    yield VocabularyChange, "apply", apply
    yield Delta, "_compare", lambda self, part, found: None


@bug()
def scales_unsent():
    """a delta leaves out rows of which only the scale changed"""
    def between(cls, earlier, later):
        found = before(cls, StoredRows(earlier.values), StoredRows(later.values))
        return cls(found.num_rows, found.rows, later.take(found.rows))

    before = TableChange.between.__func__
    yield TableChange, "between", classmethod(between)
    yield Delta, "_compare", lambda self, part, found: None


@bug()
def row_unsent():
    """a delta leaves out its last changed row"""
    def between(cls, earlier, later):
        found = before(cls, earlier, later)
        rows = found.rows[:-1] if len(found.rows) and found.num_rows == len(earlier.values) else found.rows
        return cls(found.num_rows, rows, later.take(rows))

    before = TableChange.between.__func__
    yield TableChange, "between", classmethod(between)
    yield Delta, "_compare", lambda self, part, found: None


@bug()
def dense_unsent():
    """a delta leaves out the dense weights"""
    def between(cls, earlier, later):
        return dataclasses.replace(before(cls, earlier, later), dense=None)

    before = StateChange.between.__func__
    yield StateChange, "between", classmethod(between)
    yield Delta, "_compare", lambda self, part, found: None


@bug()
def compacts_the_base():
    """compaction forgets the deltas"""
    def read_chain(base):
        found = before(base)
        return Shortened(found.base, found.manifest, found.deltas)

    class Shortened(Chain):
        def state(self):
            return self.base_state()

    before = compaction.read_chain
    yield compaction, "read_chain", read_chain


# ---- serving ----

@bug()
def lookup_without_rows():
    """a served lookup takes positions for rows although rows are free"""
    before = lookup.HashedLookup.__init__

    def init(self, found, asset, numbering):
        before(self, found, asset, numbering)
        self._rows_asset = None

    yield lookup.HashedLookup, "__init__", init


@bug()
def gate_open():
    """the gate lets every model through"""
    yield Promotion, "verdict", property(lambda self: PROMOTED)


@bug()
def no_previous():
    """a label does not remember the version before"""
    before = rollout.move_label
    yield rollout, "move_label", lambda path, name, label, version, _: before(path, name, label, version, "_before")


@bug()
def roll_back_to_self():
    """a rollback selects the version but does not move the label"""
    before = rollout.move_label

    def move_label(path, name, label, version, suffix):
        if suffix == moves.ROLLED_BACK:
            return rollout.LabelChange(dict(rollout.model_entry(path, name).version_labels)[label], version)
        return before(path, name, label, version, suffix)

    yield rollout, "move_label", move_label


@bug(first=2)
def second_roll_back_undoes():
    """a second rollback undoes the first"""
    before = moves._kept_version

    def previous_version(path, name, label):
        kept = serving_operations.model_entry(path, name)
        suffix = moves.ROLLED_BACK if f"{label}{moves.ROLLED_BACK}" in kept.version_labels else moves.PREVIOUS
        return before(path, kept, label, suffix, "", "")

    yield serving_operations, "previous_version", previous_version
