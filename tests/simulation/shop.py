"""A tiny shop: its configuration, its folders and its log files."""

import dataclasses
from pathlib import Path

from tfrs_pretrain.config import Config

NAME = "shop"
OOV = {"user": 2, "item": 1}
DIM = 2
# Days of a week's windows, from its first day.
WEEK_DAYS, PRETRAIN, TRAIN, VALIDATION, TEST = 10, 7, 8, 9, 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """What differs from shop to shop."""

    seed: int
    user_dtype: str
    min_count: int
    max_size: dict
    eviction: str | None
    ttl: int | str | None
    decay: float
    table_dtype: str
    arm: str
    live: bool  # exported versions take live updates

    @classmethod
    def drawn(cls, random, seed):
        """Draws the settings of a shop."""
        eviction = random.choice(["least_recent", "least_frequent", "least_recent", None])
        return cls(seed, random.choice(["int64", "string"]), random.choice([1, 1, 2]),
                   {"user": random.choice([8, 12, 16]) if eviction else 60, "item": random.choice([6, 10]) if eviction
                    else 60}, eviction, random.choice([None, 2, 3, 5]), random.choice([0.0, 0.5, 0.8, 1.0]),
                   random.choice(["float32", "float32", "int8", "float16"]),
                   random.choice(["warm_start", "warm_start", "scratch"]), bool(eviction and random.random() < 0.7))

    def tree(self, secret: Path):
        """The configuration without windows.

        Args:
          secret: file with the secret of live updates.
        """
        spaces = {space: {"column": space, "dtype": dtype, "oov_rows": OOV[space], "min_count": self.min_count,
                          "max_size": self.max_size[space], "eviction": self.eviction, "ttl": self.ttl,
                          "decay": self.decay} for space, dtype in (("user", self.user_dtype), ("item", "string"))}
        return {
            "name": NAME, "seed": self.seed,
            "schema": {**spaces, "time": "ts", "window": "day", "label": "clicked", "history": {"length": 3},
                       "features": []},
            "dataset": {"shards": 1, "heldout_fraction": 1e-9, "pairs_per_block": 64, "golden_examples": 6,
                        "impressions_format": "columnar",
                        "duplicates": {"engagements": "reject", "impressions": "reject"}},
            "pretraining": {"dim": DIM, "epochs": 2, "batch_size": 2,
                            "objective": {"kind": "softmax", "normalize": False, "popularity_prior": 0.0}},
            "ranking": {"hidden": [2], "id_dim": DIM, "feature_dim": DIM,
                        "arms": {name: {"transfer": name} for name in ("warm_start", "scratch")}},
            "export": {"arm": self.arm, "table_dtype": self.table_dtype, "table_tolerance": 1.0,
                       **({"live_updates": True, "push_secret": str(secret)} if self.live else {})},
        }


def windows(week):
    """Windows of a week."""
    first = week * WEEK_DAYS
    bounds = {"pretrain": (0, PRETRAIN), "train": (PRETRAIN, TRAIN), "validation": (TRAIN, VALIDATION),
              "test": (VALIDATION, TEST)}
    return {name: {"start": first + start, "end": first + end} for name, (start, end) in bounds.items()}


@dataclasses.dataclass(frozen=True)
class Event:
    """One line of a log: an impression, and an engagement if it was clicked."""

    user: int | str
    item: str
    day: int
    clicked: bool


class Shop:
    """Folders, log files and configuration.

    Args:
      root: folder of everything.
      settings: of this shop.
    """

    def __init__(self, root: Path, settings: Settings):
        self.root, self.settings = root, settings
        self.models = root / "models"
        self.labels, self.secret = root / "models.config", root / "push.secret"
        self.files: dict[str, list[Event]] = {}
        self.visible: dict[str, list[Event]] = {}
        self._base = Config.model_validate(settings.tree(self.secret) | {"windows": windows(0)})
        self._configs: dict[int, Config] = {}

    @property
    def model(self) -> Path:
        """Folder of the versions."""
        return self.models / NAME

    def folder(self, stage: str, number: int) -> Path:
        """Folder of the output of a stage."""
        return self.root / "runs" / f"{stage}-{number}"

    def config(self, week: int) -> Config:
        """Configuration with the windows of a week."""
        if week not in self._configs:
            fields = self._base.windows.__class__.model_validate(windows(week))
            self._configs[week] = self._base.model_copy(update={"windows": fields})
        return self._configs[week]

    def read_log(self):
        """All rows of all log files, as (file, position, event)."""
        return [(name, position, event) for name, events in sorted(self.visible.items())
                for position, event in enumerate(events)]
