"""The memory that Stage I needs: the user and the item table."""

from __future__ import annotations

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan, PlanSettings, TableMemory


class PretrainingMemoryPlan(MemoryPlan):
    """The tables are initialised one after the other, so each is its own owner.

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
            TableMemory.for_optimizer(name, name, settings.dim, optimizer, name) for name in self.id_spaces),
            sharded=settings.sharded, replicas=settings.replicas, host=settings.host)

    def dim_setting(self, dim: int) -> str:
        return f"pretraining.dim={dim}"
