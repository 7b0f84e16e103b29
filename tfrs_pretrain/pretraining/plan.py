"""The memory that Stage I needs: its two tables."""

from __future__ import annotations

from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.embeddings.optimizers import make_optimizer
from tfrs_pretrain.training.plan import Choice, Layout, Plan, TablePlan


class PretrainingPlan(Plan):
    """Tables are drawn one after the other, so each is its own owner.

    Args:
      config: of the run.
      dataset: gives the sizes.
    """

    title, optimizer_key = "Memory plan of Stage I", "pretraining.optimizer"

    def __init__(self, config: Config, dataset: Dataset):
        self._settings = config.pretraining
        self.spaces = tuple(dataset.schema.id_spaces)
        self.choice = Choice(config.pretraining.optimizer, config.pretraining.dim,
                             {name: dataset.rows(name) for name in self.spaces})

    def layout(self, choice: Choice) -> Layout:
        rule = make_optimizer(choice.optimizer, l2=self._settings.embedding_l2,
                              interval_decay=self._settings.interval_decay)
        return Layout(choice.rows, tuple(TablePlan.of(name, name, choice.dim, rule, name) for name in self.spaces))

    def narrowed(self, dim: int) -> str:
        return f"pretraining.dim={dim}"
