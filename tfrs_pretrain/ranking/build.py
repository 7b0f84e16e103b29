"""Construction of everything that an arm trains: student, teacher, training step and the order of the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_pretrain.config import ArmConfig, Config, FixedTeacherConfig, MlpBackbone, OnlineTeacher, RankingConfig
from tfrs_pretrain.data.dataset import IMPRESSION_SPLITS, Dataset
from tfrs_pretrain.data.impressions import training_batches
from tfrs_pretrain.embeddings.artifact import Embeddings
from tfrs_pretrain.embeddings.placement import Placement
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.ranking.distillation.fixed_teacher import FixedTeacher
from tfrs_pretrain.ranking.distillation.step import Step, distillation_step, label_step
from tfrs_pretrain.ranking.distillation.teachers import open_teacher
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.learning.learning_rates import make_rate
from tfrs_pretrain.ranking.learning.losses import LabelLoss
from tfrs_pretrain.ranking.model.configured_network import make_network
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.ranker import build_ranker
from tfrs_pretrain.ranking.model.seeds import derive_seed
from tfrs_pretrain.ranking.transfer.anchor import make_anchor
from tfrs_pretrain.ranking.transfer.earlier_ranker import EarlierRanker
from tfrs_pretrain.ranking.transfer.frequency_rates import column_frequencies, table_scales
from tfrs_pretrain.ranking.transfer.initial_tables import initial_tables, with_fresh_tables
from tfrs_pretrain.ranking.transfer.meda import Rounds, make_meda
from tfrs_pretrain.ranking.transfer.pretrained_rows import PretrainedStart, pretrained_starts
from tfrs_pretrain.ranking.transfer.table_policies import table_policies, update_rules, with_row_scales

_TRAIN = IMPRESSION_SPLITS[0]


@dataclasses.dataclass(frozen=True)
class Parts:
    """Everything that an arm trains.

    Attributes:
      step: training step that updates all learners.
      student: the model that is evaluated and served.
      teacher: online teacher, which the step updates too; None without one.
      fixed: fixed teacher; None without one.
      rounds: order in which the data is read.
      starts: ID space -> changes of its pretrained rows.
    """

    step: Step
    student: Learner
    teacher: Learner | None
    fixed: FixedTeacher | None
    rounds: Rounds
    starts: Mapping[str, PretrainedStart]

    @property
    def learners(self) -> tuple[Learner, ...]:
        """The student and, if there is one, the online teacher."""
        return (self.student, self.teacher) if self.teacher else (self.student,)

    def batches(self, dataset: Dataset, number: int, start: int, *, batch_size: int, seed: int) -> tf.data.Dataset:
        """Return the batches of a round, from 1, without the first ``start``."""
        epoch, first = self.rounds.data(number)
        teacher_columns = self.fixed.columns if self.fixed else ()
        batches = training_batches(dataset, batch_size=batch_size, seed=seed, epoch=epoch, start=first + start,
                                   identifying=teacher_columns)
        return self.fixed.add_logits(batches) if self.fixed else batches


def steps_per_epoch(config: Config, dataset: Dataset, replicas: int) -> int:
    """Return the number of whole batches in one pass over the training impressions.

    Raises:
      UserError: the batch does not fit the data or the replicas.
    """
    batch_size = config.ranking.batch_size
    if batch_size % replicas:
        raise UserError(f"ranking.batch_size {batch_size} cannot be split over {replicas} devices: choose a multiple "
                        f"of {replicas}")
    steps = dataset.num_examples(_TRAIN) // batch_size
    if steps == 0:
        raise UserError(f"ranking.batch_size {batch_size} is larger than the {dataset.num_examples(_TRAIN)} training "
                        "impressions: lower it")
    return steps


def build_parts(config: Config, dataset: Dataset, arm: ArmConfig, embeddings: Embeddings | None, *,
                steps: int, earlier: EarlierRanker | None = None,
                placements: Mapping[str, Placement] | None = None) -> Parts:
    """Build an arm at its initial values; call it inside the strategy's scope.

    Args:
      config: of the run.
      dataset: impressions and vocabularies.
      arm: one of the configuration's.
      embeddings: pretrained rows; None if the arm transfers no table.
      steps: in one pass over the training impressions.
      earlier: ranker that the student starts from; None: it starts as the arm says.
      placements: table -> its placement; the others are replicated.

    Raises:
      UserError: the embeddings, a fixed teacher or the earlier ranker do not fit.
    """
    ranking, distillation = config.ranking.for_arm(arm), arm.distillation
    rounds = Rounds.from_config(arm.meda, ranking.epochs, steps)
    total = rounds.count * rounds.steps
    starts = pretrained_starts(dataset, Inputs.of(dataset, ranking, privileged=False), ranking, arm, embeddings,
                               seed=config.seed)
    frequencies = column_frequencies(dataset, Inputs.of(dataset, ranking, privileged=True).rows) if (
        ranking.frequency_adaptive_rate) else None
    student = build_learner(ranking, dataset, arm, embeddings, hidden=ranking.hidden, privileged=False,
                            seed=derive_seed(config.seed, "student"), steps=total, anchored=True, starts=starts,
                            earlier=earlier, placements=placements, frequencies=frequencies)
    if distillation is None:
        return Parts(label_step(student), student, None, None, rounds, starts)
    if isinstance(distillation.teacher, FixedTeacherConfig):
        fixed = open_teacher(Path(distillation.teacher.path), dataset, student.ranker.labels)
        return Parts(distillation_step(student, None, distillation), student, None, fixed, rounds, starts)
    teacher = build_learner(teacher_settings(ranking, distillation.teacher), dataset, arm, embeddings, steps=total,
                            hidden=distillation.teacher.hidden, privileged=distillation.teacher.privileged,
                            seed=derive_seed(config.seed, "teacher"), starts=starts, placements=placements,
                            frequencies=frequencies)
    return Parts(distillation_step(student, teacher, distillation), student, teacher, None, rounds, starts)


def teacher_settings(ranking: RankingConfig, teacher: OnlineTeacher) -> RankingConfig:
    """Settings of an online teacher: those of its student, except for the network where it has its own."""
    if teacher.network is None and teacher.backbone is None:
        return ranking
    return ranking.model_copy(update={"network": teacher.network, "backbone": teacher.backbone or MlpBackbone()})


def build_learner(config: RankingConfig, dataset: Dataset, arm: ArmConfig, embeddings: Embeddings | None, *,
                  hidden: Sequence[int], seed: int, privileged: bool, steps: int = 1, anchored: bool = False,
                  starts: Mapping[str, PretrainedStart] | None = None, earlier: EarlierRanker | None = None,
                  placements: Mapping[str, Placement] | None = None,
                  frequencies: Mapping[str, np.ndarray] | None = None) -> Learner:
    """Build a ranker with its optimizers at its initial values; call it inside the strategy's scope.

    Args:
      config: dimensions and learning rates, unless the arm overrides them.
      dataset: provides sizes, features and statistics.
      arm: provides transfer and remedies.
      embeddings: pretrained rows; None if the arm transfers no table.
      hidden: units of the network's hidden layers.
      seed: of its random values.
      privileged: read features that are not available in serving.
      steps: of the whole run, for learning-rate schedules.
      anchored: apply the arm's anchor.
      starts: ID space -> changes of its pretrained rows; spaces without one start at the rows as pretrained.
      earlier: ranker to start from.
      placements: table -> its placement; the others are replicated.
      frequencies: column -> frequency of each row, which learning rates follow; None: they do not.
    """
    config = config.for_arm(arm)
    inputs = with_fresh_tables(Inputs.of(dataset, config, privileged=privileged), arm)
    label_loss, policies = LabelLoss.from_config(config, dataset), table_policies(arm, dataset, seed=seed)
    if frequencies is not None:
        policies = with_row_scales(policies, table_scales(inputs.rows, frequencies))

    def make_tables(number: int) -> dict[str, np.ndarray]:
        table_seed = seed if number == 1 else derive_seed(seed, f"epoch {number}")
        return initial_tables(inputs, dataset, config, arm, seed=table_seed, embeddings=embeddings,
                              starts=starts)

    rows = make_tables(1)
    if earlier:
        earlier.start_tables(rows, inputs, dataset, arm)
    network = make_network(config, hidden=hidden, seed=derive_seed(seed, "network"), attention=inputs.attention)
    cold_rules = {space: start.cold_rule for space, start in (starts or {}).items() if start.cold_rule}
    ranker = build_ranker(inputs, rows, network, rules=update_rules(config, inputs, policies), labels=label_loss.labels,
                          cold_rules=cold_rules, placements=placements)
    if earlier:
        earlier.start_network(ranker.network)
    return Learner(ranker, label_loss=label_loss, policies=policies, jit_compile=config.jit_compile,
                   learning_rate=make_rate(config, config.learning_rate, steps),
                   table_learning_rate=make_rate(config, config.table_learning_rate, steps),
                   anchor=make_anchor(arm, dataset, rows, embeddings, placements) if anchored else None,
                   meda=make_meda(arm.meda, ranker.tables, make_tables, epochs=config.epochs))
