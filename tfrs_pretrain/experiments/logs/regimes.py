"""Synthetic logs in which one property at a time is unfavorable for pretraining.

Latent factors of users and items determine engagements and clicks, as in the planted logs. A regime varies the number
of engagements, the arrival of new users and items, the lifetime of items, the drift of preferences and the noise of the
labels. The columns are those of the planted logs.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrs_pretrain.artifact_names import LOGS_KIND
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.experiments.logs.planted import (
    COUNTRIES,
    DAYS,
    FACTORS,
    PRETRAIN_DAYS,
    SURFACES,
    draw_seconds,
    event_columns,
    item_names,
    member_ids,
)
from tfrs_pretrain.metrics.auc import auc
from tfrs_pretrain.output_folders import staged_folder

ROWS_AT_ONCE = 1 << 12
SIZES = ("users", "items", "engagements", "impressions")
TINY = np.float32(1e-30)  # float32 draws can be 0, whose logarithm is infinite


@dataclasses.dataclass(frozen=True)
class Regime:
    """Sizes and properties of the logs.

    Attributes:
      users, items: number of users and of items.
      engagements: number of engagements, all before the first impression.
      impressions: number of impressions.
      new_users: share of users without engagements.
      new_items: share of items without engagements.
      lifetime_days: days for which an item exists, from a random day on; 0: always.
      drift: change of the users' factors over all days: 0 for none, 1 for independent factors at the end.
      label_noise: share of labels that are drawn regardless of user and item.
      feature_noise: share of items whose topic is random.
    """

    users: int = 2000
    items: int = 500
    engagements: int = 80000
    impressions: int = 70000
    new_users: float = 0.0
    new_items: float = 0.0
    lifetime_days: float = 0.0
    drift: float = 0.0
    label_noise: float = 0.0
    feature_noise: float = 0.2

    def scaled(self, scale: float) -> Regime:
        """Return it with other numbers of users, items and rows: at least 1 each."""
        sizes = {name: max(1, round(getattr(self, name) * scale)) for name in SIZES}
        return dataclasses.replace(self, **sizes)


REGIMES = {
    "many_engagements": Regime(),
    "few_engagements": Regime(engagements=8000),
    "sparse_ids": Regime(users=3000, items=2000, engagements=25000),
    "new_users": Regime(users=500, engagements=60000, new_users=0.5),
    "new_items": Regime(new_items=0.5),
    "short_lived_items": Regime(items=1500, lifetime_days=2.0),
    "noisy_labels": Regime(label_noise=0.5),
    "drift": Regime(drift=1.0),
}


class World:
    """The latent variables of one regime.

    Args:
      regime: sizes and properties.
      generator: source of random numbers.

    Attributes:
      items: factors, float64 [items, FACTORS].
      appeal: effect of the item itself on a click, float64 [items].
    """

    def __init__(self, regime: Regime, generator: np.random.Generator):
        self.regime = regime
        self._users = generator.normal(size=(2, regime.users, FACTORS))  # at the start, and where the drift leads
        self.items = generator.normal(size=(regime.items, FACTORS))
        self.appeal = 0.5 * generator.normal(size=regime.items)
        self._log_popularity = -np.log(generator.permutation(regime.items) + 1.0)
        self._birth = np.where(generator.random(regime.items) < regime.new_items, PRETRAIN_DAYS, 0)
        if regime.lifetime_days:
            self._birth = generator.uniform(-regime.lifetime_days, DAYS, regime.items)

    @property
    def first_users(self) -> np.ndarray:
        """float64 [users, FACTORS], at the start."""
        factors: np.ndarray = self._users[0]
        return factors

    def users(self, user: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return the factors of users int64 [n] on days float64 [n]: float64 [n, FACTORS]."""
        angle = (self.regime.drift * np.pi / 2 * day / DAYS)[:, None]
        factors: np.ndarray = np.cos(angle) * self._users[0][user] + np.sin(angle) * self._users[1][user]
        return factors

    def draw_users(self, num_rows: int, generator: np.random.Generator, *, engaged: bool) -> np.ndarray:
        """Draw int64 [num_rows] users; ``engaged`` excludes new users."""
        old = max(1, round(self.regime.users * (1 - self.regime.new_users)))
        return generator.integers(0, old if engaged else self.regime.users, num_rows)

    def draw_items(self, factors: np.ndarray, day: np.ndarray, popularity: np.ndarray,
                   generator: np.random.Generator) -> np.ndarray:
        """Draw existing items with probability proportional to popularity and the exponential of the affinity.

        Args:
          factors: float64 [n, FACTORS], whose inner product with the items' is twice the affinity; 0 for no preference.
          day: float64 [n], ascending or not.
          popularity: float64 [n], exponent of the items' popularity.
          generator: source of random numbers.

        Returns:
          int64 [n].
        """
        item = np.empty(len(day), np.int64)
        for start in range(0, len(day), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            exists = self._exist(day[part])
            logits = popularity[part, None] * self._log_popularity + factors[part] @ self.items.T
            logits = np.where(exists, logits, -np.inf).astype(np.float32)
            # The argmax of logits plus Gumbel noise is a draw from their softmax.
            exponential = np.maximum(generator.standard_exponential(logits.shape, np.float32), TINY)
            item[part] = (logits - np.log(exponential)).argmax(axis=1)
        return item

    def _exist(self, day: np.ndarray) -> np.ndarray:
        """Return bool [n, items]: the item exists on day float64 [n]."""
        born = day[:, None] >= self._birth
        if not self.regime.lifetime_days:
            return born
        exists: np.ndarray = born & (day[:, None] < self._birth + self.regime.lifetime_days)
        return exists


def write_regime_logs(output: Path, regime: Regime, *, seed: int = 0, overwrite: bool = False) -> None:
    """Write engagements, impressions, items and users as Parquet files, and a manifest. A seed determines all bytes.

    ``best_auc`` of the manifest is the AUC of the true click probabilities: the expected maximum of any model.

    Args:
      output: folder to write.
      regime: sizes and properties.
      seed: seed of all random numbers.
      overwrite: replace the content of the folder.

    Raises:
      UserError: the output folder is not empty and ``overwrite`` is false.
    """
    generator = np.random.default_rng(seed)
    world = World(regime, generator)
    engagements = _engagements(world, generator)
    impressions, best_auc = _impressions(world, generator)
    tables = {"engagements": engagements, "impressions": impressions, "items": _items(world, generator),
              "users": _users(world)}
    with staged_folder(output, overwrite=overwrite) as folder:
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet")
        write_manifest(folder, LOGS_KIND, {"rows": {name: table.num_rows for name, table in tables.items()},
                                           "seed": seed, "regime": dataclasses.asdict(regime), "best_auc": best_auc})


def _engagements(world: World, generator: np.random.Generator) -> pa.Table:
    num_rows = world.regime.engagements
    seconds = draw_seconds(0, PRETRAIN_DAYS, num_rows, generator)
    user, day = world.draw_users(num_rows, generator, engaged=True), seconds / 86400
    factors = 2 * world.users(user, day) / np.sqrt(FACTORS)
    item = world.draw_items(factors, day, np.ones(num_rows), generator)
    return pa.table(event_columns(seconds, user, item))


def _impressions(world: World, generator: np.random.Generator) -> tuple[pa.Table, float | None]:
    """Show half of the items by popularity, half uniformly. Return the impressions and the AUC of the true scores."""
    num_rows = world.regime.impressions
    seconds = draw_seconds(PRETRAIN_DAYS, DAYS, num_rows, generator)
    user, day = world.draw_users(num_rows, generator, engaged=False), seconds / 86400
    popularity = (generator.random(num_rows) < 0.5).astype(float)
    item = world.draw_items(np.zeros((num_rows, FACTORS)), day, popularity, generator)
    surface = generator.integers(0, len(SURFACES), num_rows)
    affinity = (world.users(user, day) * world.items[item]).sum(axis=1) / np.sqrt(FACTORS)
    logit = 2 * affinity + world.appeal[item] + np.array([-1.0, 0.0, -1.5])[surface]
    noisy = generator.random(num_rows) < world.regime.label_noise
    probability = np.where(noisy, 0.3, 1 / (1 + np.exp(-logit)))
    clicked = (generator.random(num_rows) < probability).astype(np.int8)
    table = pa.table(event_columns(seconds, user, item) | {"surface": np.array(SURFACES)[surface].tolist(),
                                                           "clicked": clicked})
    return table, auc(clicked, logit)


def _items(world: World, generator: np.random.Generator) -> pa.Table:
    """Topics of 2 ** FACTORS values follow the signs of the factors; quality follows the appeal."""
    number = len(world.items)
    topic = (world.items > 0) @ (1 << np.arange(FACTORS))
    random = generator.random(number) < world.regime.feature_noise
    topic = np.where(random, generator.integers(0, 1 << FACTORS, number), topic)
    quality = world.appeal + generator.normal(size=number)
    return pa.table({"item": item_names(np.arange(number)), "topic_id": topic.astype(np.int64),
                     "quality": quality.astype(np.float32)})


def _users(world: World) -> pa.Table:
    factors = world.first_users
    country = [COUNTRIES[code] for code in np.argmax(factors[:, :len(COUNTRIES)], axis=1)]
    return pa.table({"member": member_ids(np.arange(len(factors))), "country": country})
