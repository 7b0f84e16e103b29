"""What a shop's artifacts must contain, from dictionaries by id: no table, no row is looked up twice."""

import copy
import dataclasses
from collections import Counter

import numpy as np
from shop import PRETRAIN, TRAIN, VALIDATION, WEEK_DAYS
from vocabulary_twin import Rules, Twin

SPACES = ("user", "item")
STAGES = ("dataset", "embeddings", "ranker")


@dataclasses.dataclass
class Generation:
    """One run of the stages: dataset, embeddings, ranker.

    Attributes:
      number: of the run.
      week: of the windows.
      vocabularies: space -> twin.
      pairs: (user, item) of each engagement in the pretraining window.
      impressions: (user, item) of each impression in the training window.
      validation: (user, item, label) of each impression in the validation window.
      changes: space -> expected ``lifecycle`` of the dataset; None: nothing was extended.
      forgotten: space -> number of ids that were forgotten since the dataset was built.
      zero_rows: (stage, space) -> positions that no record or value may have after their id was forgotten.
      newly_free: space -> positions of the ids that were forgotten last.
      first_epoch: pairs of the first epoch, if a killed run left a checkpoint after it.
      started: arguments of that run.
      embeddings, tables: space -> rows by id; None: the stage has not run.
      trained: space -> ids whose pretrained row was trained.
      dense: dense weights of the ranker.
      indexed: the item index was built.
      good: the ranker's scores agree with the labels.
      predictions: like ``validation``, of the ranker's predictions.
    """

    number: int
    week: int
    vocabularies: dict
    pairs: list
    impressions: list
    validation: list
    changes: dict | None = None
    forgotten: dict = dataclasses.field(default_factory=lambda: dict.fromkeys(SPACES, 0))
    zero_rows: dict = dataclasses.field(default_factory=lambda: {
        (stage, space): set() for stage in STAGES for space in SPACES})
    newly_free: dict = dataclasses.field(default_factory=dict)
    first_epoch: list | None = None
    started: dict | None = None
    embeddings: dict | None = None
    trained: dict | None = None
    tables: dict | None = None
    dense: list | None = None
    indexed: bool = False
    good: bool = True
    predictions: list | None = None

    def rows(self, space):
        """Id -> position of its row, without the shared rows."""
        return {value: life.row for value, life in self.vocabularies[space].lives.items()}

    def forget(self, space, ids):
        """Removes ids as ``tfrs-pretrain forget`` does."""
        twin, place = self.vocabularies[space], SPACES.index(space)
        known = [value for value in ids if value in twin.lives]
        self.newly_free = {space: {twin.lives[value].row for value in known}}
        for value in known:
            for stage, exists in zip(STAGES, (True, self.embeddings, self.tables), strict=True):
                if exists:
                    self.zero_rows[stage, space].add(twin.lives[value].row)
            twin.free(value)
            for rows in (self.embeddings, self.tables):
                if rows:
                    rows[space].pop(value)
            if self.trained:
                self.trained[space].discard(value)
        self.forgotten[space] += len(known)
        # A pair of an id without a row contains the number of a shared row only.
        self.pairs = [pair for pair in self.pairs if pair[place] not in known]
        for name in ("impressions", "validation", "predictions"):
            found = getattr(self, name)
            setattr(self, name, found and [each for each in found if each[place] not in ids])

    @property
    def passes_gate(self):
        """Whether the area under the curve of the predictions is at least one half.

        Good scores put every positive above every negative, bad ones below.
        """
        return self.good and len({label for *_, label in self.predictions}) == 2


def rules(settings, space):
    """Rules of the twin."""
    return Rules(settings.decay, settings.ttl, None, settings.eviction, settings.min_count, settings.max_size[space])


def has_lifecycle(settings):
    """Whether the ids of the shop have a life cycle."""
    return bool(settings.eviction or settings.ttl or settings.decay)


def next_generation(settings, events, week, number, earlier):
    """The dataset of a week."""
    first = week * WEEK_DAYS
    pairs = [key[:2] for key in _distinct(events, first, first + PRETRAIN, lambda event: event.clicked)]
    train = [key[:2] for key in _distinct(events, first + PRETRAIN, first + TRAIN)]
    clicked = set(_distinct(events, first + TRAIN, first + VALIDATION, lambda event: event.clicked))
    validation = [(*key[:2], key in clicked) for key in _distinct(events, first + TRAIN, first + VALIDATION)]
    counts = {space: Counter(pair[place] for pair in pairs) for place, space in enumerate(SPACES)}
    if earlier is None:
        vocabularies = {space: Twin(counts[space], first + PRETRAIN, rules(settings, space)) for space in SPACES}
        return Generation(number, week, vocabularies, pairs, train, validation)
    vocabularies, changes = copy.deepcopy(earlier.vocabularies), {}
    for space, twin in vocabularies.items():
        before = earlier.rows(space)
        _advance(settings, twin, counts[space], first + PRETRAIN, rules(settings, space))
        after = {value: life.row for value, life in twin.lives.items()}
        admitted = [value for value in after if value not in before]
        changes[space] = {
            "kept": sum(value in after for value in before), "admitted": len(admitted),
            "evicted": sum(value not in after for value in before), "deleted": earlier.forgotten[space],
            "reused": sum(after[value] < len(earlier.vocabularies[space].rows) for value in admitted)}
    return Generation(number, week, vocabularies, pairs, train, validation, changes)


def _distinct(events, first, last, accepts=lambda event: True):
    """(user, item, day) of the events in [first, last), each once."""
    return sorted({(event.user, event.item, event.day) for event in events
                   if first <= event.day < last and accepts(event)})


def _advance(settings, twin, counts, end, space_rules):
    if has_lifecycle(settings):
        twin.advance(counts, end, space_rules)
        return
    # Without a life cycle every id stays, and its count is that of the newest window.
    twin.ends = [end]
    for value, life in twin.lives.items():
        life.decayed, life.first, life.last = float(counts.get(value, 0)), 0, 0
    new = {value: count for value, count in counts.items()
           if value not in twin.lives and count >= space_rules.min_count}
    room = max(space_rules.max_size - len(twin.lives), 0)
    for value, count in sorted(new.items(), key=lambda entry: (-entry[1], entry[0]))[:room]:
        twin._admit(value, count)


def pretrained(generation, earlier, fresh, oov):
    """Rows and trained ids after Stage I.

    Args:
      generation: the run.
      earlier: run whose embeddings it starts from, or None.
      fresh: space -> random rows, by row.
      oov: space -> number of shared rows.
    """
    rows, trained = {}, {}
    epochs = [generation.pairs if generation.first_epoch is None else generation.first_epoch, generation.pairs]
    for place, space in enumerate(SPACES):
        counts = [Counter(pair[place] for pair in pairs) for pairs in epochs]
        rows[space], trained[space] = {}, set()
        for value, position in generation.rows(space).items():
            known = earlier.embeddings[space].get(value) if earlier else None
            row, slot = (fresh[space][position + oov[space]] if known is None else known).copy(), np.float32(0)
            for n in (np.float32(count[value]) for count in counts if count[value]):
                slot = slot + n * n
                row = row * np.float32(0.5) + n / (np.float32(1) + slot)
            rows[space][value] = row
            newest = len(generation.vocabularies[space].ends) - 1
            is_seen = generation.vocabularies[space].lives[value].last == newest
            if (earlier and value in earlier.trained[space]) or (
                    is_seen and generation.vocabularies[space].lives[value].decayed > 0):
                trained[space].add(value)
    return rows, trained


def ranked(generation, earlier, fresh, oov, *, transfers):
    """Rows of the ranker's tables.

    Args:
      generation: the run, with embeddings.
      earlier: run whose ranker it starts from, or None.
      fresh: space -> random rows, by row.
      oov: space -> number of shared rows.
      transfers: ids whose row was pretrained start there.
    """
    tables = {}
    for place, space in enumerate(SPACES):
        seen = Counter(pair[place] for pair in generation.impressions)
        tables[space] = {}
        for value, position in generation.rows(space).items():
            row = fresh[space][position + oov[space]]
            if transfers and value in generation.trained[space]:
                row = generation.embeddings[space][value]
            if earlier and value in earlier.tables[space]:
                row = earlier.tables[space][value]
            n = seen[value]
            tables[space][value] = row * np.float32(0.75) + np.float32(n) if n else row.copy()
    return tables


def served(row, dtype):
    """A row as it is served in a dtype, float32 [dim]."""
    if dtype != "int8":
        return row.astype(dtype).astype(np.float32)
    largest = np.float32(0)
    for value in row:
        largest = max(largest, np.abs(value))
    scale = np.float32(largest / np.float32(127)) if largest > 0 else np.float32(1)
    return np.array([np.float32(np.int8(np.rint(value / scale))) * scale for value in row], np.float32)
