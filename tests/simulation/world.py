"""A shop, its model server, and what both must contain."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from model_server import ModelServer
from naive_shop import SPACES, Generation, served
from shop import NAME, OOV, Event, Settings, Shop
from training_stages import fresh_seed

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.gate import Gate
from tfrs_pretrain.embeddings.tables import normal_matrix
from tfrs_pretrain.ranking.model.seeds import derive_seed

LABEL = "live"
GATE = Gate(split="validation", thresholds={"auc": {"min": 0.5}}, replicates=100)
EVENTS = 48
LOOKBACK_DAYS = 20


@dataclasses.dataclass
class Version:
    """A version and its deltas, as they must be.

    Attributes:
      contents: what is served after the base and after each delta: id or "dense" -> bytes.
      generations: number of the run behind each of them.
      states: what a server with it, and with each delta, answers to ``delta_version``; empty: it takes no deltas.
    """

    contents: list
    generations: list
    states: list


class World:
    """Everything that a step may change.

    Args:
      root: folder on disk.
      settings: of the shop.
    """

    def __init__(self, root: Path, settings: Settings):
        self.shop, self.settings = Shop(root, settings), settings
        self.week, self.number = 0, 0
        self.generations: dict[int, Generation] = {}
        self.versions: dict[int, Version] = {}
        self.allowed: set[int] = set()
        self.labels: dict[str, int] = {}
        self.forgotten: dict[str, set] = {space: set() for space in SPACES}
        self.has_forgotten = False
        self.server = ModelServer(self.shop.labels, NAME)
        self.served_deltas: dict[int, int] = {}
        self.checked: dict = {}
        self.abandoned: set[tuple[str, str]] = set()
        self.shop.model.mkdir(parents=True)
        (root / "runs").mkdir()
        self.shop.secret.write_text("0123456789abcdef" * 4)
        self.shop.labels.write_text(f'model_config_list {{ config {{ name: "{NAME}" base_path: "{self.shop.model}"\n'
                                    'model_platform: "tensorflow"\nmodel_version_policy { specific { } } } }\n')

    @property
    def newest(self) -> Generation | None:
        """The newest run with a dataset."""
        return self.generations[max(self.generations)] if self.generations else None

    def earlier(self, number, stage) -> Generation | None:
        """The newest run before a number that has finished a stage: "embeddings" or "tables"."""
        found = [run for run in self.generations.values() if run.number < number and getattr(run, stage)]
        return max(found, key=lambda run: run.number) if found else None

    def folder(self, stage, number) -> Path:
        """Folder of a stage of a run."""
        return self.shop.folder(stage, number)

    def config(self, generation) -> Config:
        """Configuration of a run."""
        return self.shop.config(generation.week)

    def version_folder(self, version) -> Path:
        """Folder of a version."""
        return self.shop.model / str(version)

    def fresh(self, generation, *, ranker):
        """The random rows of a stage: space -> [rows, dim]."""
        scale = self.config(generation).ranking.initial_scale
        rows = {space: len(generation.vocabularies[space].rows) + OOV[space] for space in SPACES}
        return {space: normal_matrix(count, 2, scale, derive_seed(generation.number, space)) if ranker
                else normal_matrix(count, 2, 0.25, fresh_seed(generation.number, space))
                for space, count in rows.items()}

    def content(self, generation):
        """What a version of a run's ranker must serve: key -> bytes."""
        dtype, found = self.settings.table_dtype, {}
        for space in SPACES:
            for value, row in generation.tables[space].items():
                found[f"{space} {value}"] = served(row, dtype).tobytes()
            table = np.load(self.folder("ranker", generation.number) / "tables" / f"{space}.npy")
            found[f"{space} shared"] = b"".join(served(row, dtype).tobytes() for row in table[:OOV[space]])
        found["dense"] = b"".join(np.float32(weight).tobytes() for weight in generation.dense)
        return found

    def remove(self, folder: Path):
        """Removes a folder and what stages keep beside it; an operator's clean-up."""
        beside = [folder.with_name(f"{folder.name}{suffix}") for suffix in ("", ".checkpoints", ".deltas")]
        for path in (*beside, *folder.parent.glob(f".{folder.name}.*")):
            shutil.rmtree(path, ignore_errors=True)

    def log_week(self, random):
        """Writes the log file of the next two weeks' events; some come late, in a later file."""
        week, shop = self.week, self.shop
        events = [self._event(random, week) for _ in range(EVENTS)]
        late = [event for event in events if random.random() < 0.06]
        for space, forgotten in self.forgotten.items():  # an id that comes back is a new one
            forgotten -= {getattr(event, space) for event in events}
        name = f"log-{week:06d}"
        shop.files[name] = [event for event in events if event not in late]
        if late:
            shop.files[f"log-{week + 1:06d}-late-{week}"] = late
        oldest = sorted(shop.files)
        for old in oldest:
            if int(old.split("-")[1]) < week - 2:
                del shop.files[old]

    def visible_files(self):
        """Log files that have arrived."""
        return {name: events for name, events in self.shop.files.items() if int(name.split("-")[1]) <= self.week}

    def _event(self, random, week):
        user = self._user(week * 2 + int(random.triangular(0, 16, 4)))
        item = f"item-{week + int(random.triangular(0, 12, 3)):08d}"
        return Event(user, item, week * 10 + random.randrange(10), random.random() < 0.6)

    def _user(self, number):
        return 70_000_000_000 + number if self.settings.user_dtype == "int64" else f"user-{number:08d}"
