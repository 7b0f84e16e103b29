"""A naive twin of the vocabulary's life cycle: one dictionary, and a list of rows."""

import dataclasses


@dataclasses.dataclass
class Life:
    row: int
    decayed: float
    first: int
    last: int


@dataclasses.dataclass
class Rules:
    """Settings of the twin: as in the configuration, times in the unit of the window ends."""

    decay: float = 0.0
    ttl_windows: int | None = None
    ttl_time: int | None = None
    eviction: str | None = None
    min_count: int = 1
    max_size: int | None = None


class Twin:
    """Ids with their lives; rows count from 0 without the shared rows."""

    def __init__(self, counts, end, rules):
        self.ends, self.rows, self.lives = [end], [], {}
        admitted = sorted((-count, value) for value, count in counts.items() if count >= rules.min_count)
        for count, value in admitted[:rules.max_size]:
            self._admit(value, -count)

    def advance(self, counts, end, rules):
        before = set(self.lives)
        self.ends.append(end)
        for value, life in self.lives.items():
            life.decayed = rules.decay * life.decayed + counts.get(value, 0)
            if counts.get(value, 0):
                life.last = len(self.ends) - 1
        for value in [value for value, life in self.lives.items() if self._is_expired(life, rules)]:
            self.free(value)
        # An id that expires in a window has no engagement in it, so it is none of the new ones.
        new = {value: count for value, count in counts.items() if value not in before and count >= rules.min_count}
        if rules.max_size is not None and rules.eviction:
            for value in [value for value in before - self._best(new, rules) if value in self.lives]:
                self.free(value)
            admitted = {value: count for value, count in new.items() if value in self._chosen}
        else:
            room = len(new) if rules.max_size is None else rules.max_size - len(self.lives)
            admitted = dict(sorted(new.items(), key=lambda entry: (-entry[1], entry[0]))[:room])
        for value, count in sorted(admitted.items(), key=lambda entry: (-entry[1], entry[0])):
            self._admit(value, count)
        return before

    def free(self, value):
        self.rows[self.lives.pop(value).row] = None

    def _best(self, new, rules):
        window = len(self.ends) - 1
        entries = [(life.last, life.decayed, 0, value) for value, life in self.lives.items()]
        entries += [(window, count, 1, value) for value, count in new.items()]
        primary, secondary = (0, 1) if rules.eviction == "least_recent" else (1, 0)
        entries.sort(key=lambda entry: (-entry[primary], -entry[secondary], entry[2], entry[3]))
        self._chosen = {entry[3] for entry in entries[:rules.max_size]}
        return self._chosen

    def _is_expired(self, life, rules):
        window = len(self.ends) - 1
        unseen = rules.ttl_windows is not None and window - life.last >= rules.ttl_windows
        return unseen or (rules.ttl_time is not None and self.ends[-1] - self.ends[life.last] >= rules.ttl_time)

    def _admit(self, value, count):
        row = self.rows.index(None) if None in self.rows else len(self.rows)
        self.rows[row:row + 1] = [value]
        window = len(self.ends) - 1
        self.lives[value] = Life(row, float(count), window, window)
