"""Bugs in the life of ids, in the start from earlier weights and in artifacts."""

import contextlib
import dataclasses

import numpy as np
import pyarrow as pa
from planting import bug

from beam_pipelines.logs import duplicates
from tfrs_pretrain import row_placement, vocabulary_extension, vocabulary_lifecycle
from tfrs_pretrain.embeddings import artifact as embeddings
from tfrs_pretrain.lifecycle_rules import LifecycleRules
from tfrs_pretrain.lifetimes import NEVER, Lifetimes
from tfrs_pretrain.ranking.model import artifact as ranker_artifact
from tfrs_pretrain.ranking.transfer import earlier_ranker
from tfrs_pretrain.serving.deltas import chain
from tfrs_pretrain.training import checkpoint, checkpoint_writer
from tfrs_pretrain.vocabulary import Vocabulary
from tfrs_pretrain.vocabulary_changes import RowMap, VocabularyChanges

# ---- the life of an id ----

@bug()
def keeps_frequency():
    """a reused row keeps the frequency of the erased id"""
    def with_freed(self, is_freed):
        never = np.int32(NEVER)
        return Lifetimes(self.decayed, np.where(is_freed, never, self.first), np.where(is_freed, never, self.last),
                         self.window_ends)

    def with_new(life, size, positions, counts):
        added = np.zeros(size - len(life.first), life.decayed.dtype)
        decayed = np.append(life.decayed, added)
        found = with_new_before(life, size, positions, counts)
        kept = np.where(found.last == NEVER, 0, np.where(np.isin(np.arange(size), positions), decayed, 0))
        return dataclasses.replace(found, decayed=np.where(found.last == NEVER, 0, found.decayed) + kept)

    with_new_before = vocabulary_lifecycle._with_new
    yield Lifetimes, "with_freed", with_freed
    yield vocabulary_lifecycle, "_with_new", with_new


@bug()
def evicted_stays():
    """an evicted id keeps its row while nobody reuses it"""
    def place_ids(ids, is_free, new):
        return place_before(ids, is_free, new) if len(new) >= is_free.sum() else _unfreed(ids, is_free, new)

    def _unfreed(ids, is_free, new):
        placed, positions = place_before(ids, is_free, new)
        values = [value if value is not None else old for value, old in
                  zip(placed.to_pylist(), ids.to_pylist(), strict=False)]
        return pa.chunked_array([pa.array(values, ids.type)]), positions

    place_before = row_placement.place_ids
    yield vocabulary_extension, "place_ids", place_ids
    yield Vocabulary, "is_free", property(lambda self: self.counts == 0)


@bug(first=1)
def soft_cap():
    """max_size is a soft cap"""
    yield vocabulary_lifecycle, "_within", lambda size, earlier, life, leaves, new, rule: (
        leaves, np.ones(new.num_rows, bool))


@bug()
def late_expiry():
    """an id expires one window late"""
    def expired(self, last, window_ends):
        limit = None if self.ttl_windows is None else self.ttl_windows + 1
        return before(dataclasses.replace(self, ttl_windows=limit), last, window_ends)

    before = LifecycleRules.expired
    yield LifecycleRules, "expired", expired


@bug()
def decay_twice():
    """counts decay twice in a window"""
    before = vocabulary_lifecycle._in_next_window
    yield vocabulary_lifecycle, "_in_next_window", lambda life, counts, end, decay: before(life, counts, end,
                                                                                          decay * decay)


@bug(first=1)
def evicts_the_best():
    """the best ids are evicted instead of the worst"""
    def within(size, earlier, life, leaves, new, rule):
        worst = Lifetimes(-life.decayed, life.first, -life.last, life.window_ends)
        return before(size, earlier, worst, leaves, new, rule)

    before = vocabulary_lifecycle._within
    yield vocabulary_lifecycle, "_within", within


@bug()
def rows_never_reused():
    """free rows are never reused: tables grow for ever"""
    def place_ids(ids, is_free, new):
        empty = pa.nulls(int(is_free.sum()), ids.type)
        kept = pa.chunked_array([ids, new]).take(pa.array(np.arange(len(ids) + len(new)), mask=np.append(
            is_free, np.zeros(len(new), bool))))
        del empty
        return kept, len(ids) + np.arange(len(new))

    yield vocabulary_extension, "place_ids", place_ids


@bug()
def shifted_lookup():
    """a lookup forgets that free rows shift positions"""
    def find(self, values):
        found = before(self, values)
        is_known = found >= self.oov_rows
        found[is_known] = np.searchsorted(self.id_rows, found[is_known]) + self.oov_rows
        return found

    before = Vocabulary.lookup
    yield Vocabulary, "lookup", find


@bug()
def wrong_changes():
    """the manifest counts reused rows as appended"""
    before = VocabularyChanges.between.__func__
    yield VocabularyChanges, "between", classmethod(lambda cls, one, other: dataclasses.replace(
        before(cls, one, other), reused=0))


@bug()
def repeated_log_counts():
    """a log file that arrives twice counts twice"""
    yield duplicates, "_repeats_previous", lambda table, key: np.zeros(table.num_rows, bool)


# ---- starting from earlier weights ----

@bug()
def rows_by_number():
    """Stage I matches earlier rows by number instead of by id"""
    def between(cls, earlier, later):
        rows = np.intersect1d(earlier.id_rows, later.id_rows)
        return cls(rows, rows, later.oov_rows)

    yield RowMap, "between", classmethod(between)


@bug()
def survivor_loses_row():
    """the last surviving id starts at random"""
    def copy(self, source, target):
        rows = np.array(target)
        rows[self.target[:-1]] = source[self.source[:-1]]
        rows[:self.shared] = source[:self.shared]
        return rows

    yield RowMap, "copy", copy


@bug()
def trained_by_number():
    """a reused row counts as trained because its earlier id was"""
    def rows_after(self, name, later):
        trained = self.trained_rows(name)
        found = later.occurring.copy()
        earlier = self.vocabulary(name).occurring if trained is None else trained
        common = min(len(found), len(earlier))
        found[:common] |= earlier[:common]
        return found

    yield embeddings.Embeddings, "rows_after", rows_after


@bug()
def untrained_forgotten():
    """ids without an engagement in the new window count as untrained"""
    yield embeddings.Embeddings, "rows_after", lambda self, name, later: later.occurring


@bug(first=2)
def slots_lost():
    """optimizer slots are lost when a run continues"""
    def read_variables(folder, manifest, variables):
        values = before(folder, manifest, variables)
        return [np.zeros_like(value) if "accumulator" in variable.name else value
                for value, variable in zip(values, variables, strict=True)]

    before = checkpoint.read_variables
    yield checkpoint, "read_variables", read_variables


@bug()
def ranker_rows_by_number():
    """Stage II matches earlier rows by number instead of by id"""
    class Wrong(RowMap):
        @classmethod
        def between(cls, earlier, later):
            rows = np.intersect1d(earlier.id_rows, later.id_rows)
            return cls(rows, rows, later.oov_rows)

    yield earlier_ranker, "RowMap", Wrong


# ---- artifacts ----

@bug()
def written_in_place():
    """an output is written in place, so that a killed writer leaves half of it"""
    @contextlib.contextmanager
    def staged_folder(target, *, overwrite=False):
        target.mkdir(parents=True, exist_ok=True)
        yield target

    for module in (embeddings, ranker_artifact, checkpoint_writer):
        yield module, "staged_folder", staged_folder


@bug()
def damage_unnoticed():
    """files are not compared with their manifest when a chain is read"""
    yield chain, "check_files", lambda folder, manifest: None
