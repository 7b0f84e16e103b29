"""Training steps: from labels alone, and with knowledge distillation from a trained or a fixed teacher.

Soft targets follow Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section
2, for one logit. Distillation while fine-tuning pretrained embeddings follows Hsu, Wang, Eksombatchai and Xu (RecSys
2024, arXiv 2508.18700), whose weights and temperatures are not public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import DistillationConfig
from tfrs_pretrain.ranking.learning.learner import Learner, with_penalties
from tfrs_pretrain.ranking.learning.losses import hard_losses

TEACHER_LOGITS = "teacher_logits"  # batch column with a fixed teacher's float32 [batch, heads]

Step = Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]


def soft_losses(teacher_logits: tf.Tensor, logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """Compute T^2 times the cross-entropy between the student's and the teacher's probabilities at temperature T.

    The factor T^2 keeps the size of the gradients independent of T (Hinton et al., section 2.1). No gradient flows into
    the teacher's logits, because ``hard_losses`` passes none to its targets.

    Args:
      teacher_logits: float32 [...].
      logits: float32 [...] of the student.
      temperature: T, above 0.

    Returns:
      float32 [...] in nats.
    """
    targets = tf.sigmoid(teacher_logits / temperature)
    return temperature**2 * hard_losses(targets, logits / temperature)


def soft_weight(step: tf.Tensor, config: DistillationConfig) -> tf.Tensor:
    """Return float32 [], the weight of the soft loss at a step (from 0); it grows linearly over the warm-up steps."""
    if not config.warmup_steps:
        return tf.constant(config.weight, tf.float32)
    return config.weight * tf.minimum(tf.cast(step, tf.float32) / config.warmup_steps, 1.0)


def label_step(student: Learner) -> Step:
    """Build a step that trains the student on labels alone.

    It returns ``loss`` and, with penalties (see ``StepOutput``), its parts: ``hard`` and the penalties.
    """

    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        output = student.train_step(batch, lambda logits: student.label_loss(batch, logits))
        hard = tf.reduce_mean(student.label_loss(batch, output.logits))
        if not output.penalties:
            return {"loss": hard}
        return {"loss": with_penalties(hard, output.penalties), "hard": hard, **output.penalties}

    return step


def distillation_step(student: Learner, teacher: Learner | None, config: DistillationConfig) -> Step:
    """Build a step that trains the student on labels and on a teacher's logits.

    A trained teacher is updated first, on labels alone; the student's targets are the teacher's logits from before that
    update. Without a trained teacher the batch contains the logits in the column ``TEACHER_LOGITS``.

    The step returns ``loss`` (everything that the student minimises), its parts ``hard``, ``soft`` and the
    penalties; the teacher's own loss ``teacher``; and ``soft_weight``.
    """

    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        weight = soft_weight(student.steps, config)
        if teacher is None:
            teacher_logits = batch[TEACHER_LOGITS]
        else:
            teacher_logits = teacher.train_step(batch, lambda logits: teacher.label_loss(batch, logits)).logits

        def hard(logits: tf.Tensor) -> tf.Tensor:
            return student.label_loss(batch, logits)

        def soft(logits: tf.Tensor) -> tf.Tensor:
            return student.label_loss.reduce_heads(batch, soft_losses(teacher_logits, logits, config.temperature))

        def mixed(logits: tf.Tensor) -> tf.Tensor:
            return (1 - weight) * hard(logits) + weight * soft(logits)

        logits, penalties = student.train_step(batch, mixed)
        return {
            "loss": with_penalties(tf.reduce_mean(mixed(logits)), penalties),
            "hard": tf.reduce_mean(hard(logits)),
            "soft": tf.reduce_mean(soft(logits)),
            "teacher": tf.reduce_mean(student.label_loss(batch, teacher_logits)),
            "soft_weight": weight,
            **penalties,
        }

    return step
