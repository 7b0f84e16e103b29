"""The memory that Stage I needs: the user and the item table."""

from __future__ import annotations

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.schema import ITEM_ROW
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan, PlanSettings, TableMemory
from tfrs_pretrain.training.process_memory import WorkingMemory

ITEM_COPIES = 3  # of the items' vectors while all of them are ranked: gathered, normalised, and as an array


class PretrainingMemoryPlan(MemoryPlan):
    """Memory plan of Stage I.

    Args:
      config: configuration of the run.
      dataset: gives the tables' numbers of rows.
    """

    title, optimizer_key = "Memory plan of Stage I", "pretraining.optimizer"

    def __init__(self, config: Config, dataset: Dataset):
        self._config = config.pretraining
        self.id_spaces = tuple(dataset.schema.id_spaces)
        self.settings = PlanSettings(config.pretraining.optimizer, config.pretraining.dim,
                                     {name: dataset.num_rows(name) for name in self.id_spaces})

    def layout(self, settings: PlanSettings) -> MemoryLayout:
        optimizer = make_optimizer(settings.optimizer, l2=self._config.embedding_l2,
                                   interval_decay=self._config.interval_decay)
        return MemoryLayout(settings.num_rows, tuple(
            TableMemory.for_optimizer(name, name, settings.dim, optimizer) for name in self.id_spaces),
            sharded=settings.sharded, replicas=settings.replicas, host=settings.host)

    @property
    def working(self) -> WorkingMemory:
        dim, items = self._config.dim, self.settings.num_rows[ITEM_ROW]
        return WorkingMemory(sum(self.settings.num_rows.values()), 2 * self._config.batch_size * dim, dim,
                             ITEM_COPIES * items * dim if self._config.recall_at else 0)

    def dim_setting(self, dim: int) -> str:
        return f"pretraining.dim={dim}"
