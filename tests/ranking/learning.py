"""Batches and table contents for tests that train a learner on the planted dataset."""

import numpy as np


def batches(count, seed=2):
    """Columns of random impressions, without privileged features."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        columns = {name: random.integers(0, most, 64) for name, most in (("user", 152), ("item", 253), ("place", 3))}
        columns["price"] = random.normal(3, 2, 64).astype(np.float32)
        yield columns | {"label": random.integers(0, 2, 64).astype(np.float32)}


def tables(learner):
    """Table -> its current rows."""
    return {name: table.numpy() for name, table in learner.ranker.tables.items()}
