"""Memory plan of one arm of Stage II: tables and networks of student and teacher, and the anchor.

The arm is built with one row per table and the size of its variables is counted, so the plan always matches the arm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from tfrs_pretrain.config import ArmConfig, Config, ContinualMeda, OnlineTeacher, RankingConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.ranking.build import build_learner, teacher_settings
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.training.memory_plan import MemoryLayout, MemoryPlan, PlanSettings, TableMemory

_OPTIONAL = ("distillation", "anchor", "meda")  # components of an arm that need memory


class ArmPlan(MemoryPlan):
    """Memory plan of an arm: its student, online teacher, anchor and MEDA table groups.

    Args:
      config: of the run.
      dataset: provides sizes and columns.
      arm: name in ``config.ranking.arms``.
    """

    optimizer_key = "ranking.table_optimizer"

    def __init__(self, config: Config, dataset: Dataset, arm: str):
        self._config, self._dataset, self._arm = config, dataset, arm
        self.title = f"Memory plan of Stage II, {arm}"
        self.id_spaces = tuple(dataset.schema.id_spaces)
        self.settings = PlanSettings(config.ranking.table_optimizer, config.ranking.id_dim,
                                     {name: dataset.num_rows(name) for name in dataset.digests})

    def layout(self, settings: PlanSettings) -> MemoryLayout:
        ranking = self._config.ranking.model_copy(update={"table_optimizer": settings.optimizer,
                                                          "id_dim": settings.dim})
        arm = ranking.arms[self._arm]
        tables: list[TableMemory] = []
        dense = 0
        groups = ranking.for_arm(arm).epochs if isinstance(arm.meda, ContinualMeda) else 1
        for role, learner in one_row_learners(ranking.for_arm(arm), self._dataset, arm):
            tables += _tables(role, learner, groups)
            dense += _dense_bytes(learner)
        trained = [name for name, transfer in arm.pretrained_tables.items() if transfer.kind != "frozen"]
        tables += [TableMemory(f"anchor of {name}", name, settings.dim, 0, "student", name)
                   for name in trained if arm.anchor]
        return MemoryLayout(settings.num_rows, tuple(tables), dense, settings.sharded, settings.replicas,
                            settings.host)

    def dim_setting(self, dim: int) -> str:
        again = f" and pretraining.dim={dim}, and pretrain again" if self._settings.pretrained_tables else ""
        return f"ranking.id_dim={dim}{again}"

    def without_components(self) -> Iterable[tuple[str, MemoryPlan]]:
        for part in _OPTIONAL:
            if getattr(self._settings, part) is not None:
                arm = self._settings.model_copy(update={part: None})
                ranking = self._config.ranking.model_copy(update={"arms": {self._arm: arm}})
                config = self._config.model_copy(update={"ranking": ranking})
                smaller = ArmPlan(config, self._dataset, self._arm)
                smaller.settings = self.settings
                yield f"ranking.arms.{self._arm}.{part}=null", smaller

    @property
    def _settings(self) -> ArmConfig:
        return self._config.ranking.arms[self._arm]


def one_row_learners(ranking: RankingConfig, dataset: Dataset, arm: ArmConfig) -> Iterator[tuple[str, Learner]]:
    """Build an arm's learners, each with its role, with one row per table."""
    vocabularies = {name: {**entry, "rows": 1} for name, entry in dataset.info["vocabularies"].items()}
    one_row = Dataset(dataset.folder, {**dataset.info, "vocabularies": vocabularies})
    steps = ranking.warmup_steps + 1
    frequencies = {row.column: np.ones(1, np.int64) for row in Inputs.of(one_row, ranking, privileged=True).rows} if (
        ranking.frequency_adaptive_rate) else None
    yield "student", build_learner(ranking, one_row, arm, None, hidden=ranking.hidden, seed=0, privileged=False,
                                   steps=steps, frequencies=frequencies)
    if arm.distillation and isinstance(teacher := arm.distillation.teacher, OnlineTeacher):
        yield "teacher", build_learner(teacher_settings(ranking, teacher), one_row, arm, None, seed=0,
                                       hidden=teacher.hidden, privileged=teacher.privileged, steps=steps,
                                       frequencies=frequencies)


def arm_plans(config: Config, dataset: Dataset) -> list[ArmPlan]:
    """Return one plan for each distinct layout; its title names all arms with that layout."""
    found: dict[MemoryLayout, ArmPlan] = {}
    for plan in (ArmPlan(config, dataset, arm) for arm in config.ranking.arms):
        first = found.setdefault(plan.layout(plan.settings), plan)
        if first is not plan:
            first.title = f"{first.title}, {plan.title.rpartition(', ')[2]}"
    return list(found.values())


def _tables(role: str, learner: Learner, groups: int) -> list[TableMemory]:
    prefix = "" if role == "student" else f"{role}: "
    suffix = f" in {groups} groups" if groups > 1 else ""
    vocabularies = learner.ranker.inputs.tables
    return [TableMemory(f"{prefix}{name}{suffix}", vocabularies[name], groups * table.dim,
                        groups * sum(slot.shape[1] for slot in table.slots.values()) + (name in learner.row_scales),
                        role, name)
            for name, table in learner.ranker.tables.items()]


def _dense_bytes(learner: Learner) -> int:
    variables = (*learner.ranker.network.variables, *learner.optimizer.variables)
    return sum(variable.value.shape.num_elements() * variable.value.dtype.size for variable in variables)
