"""Online knowledge distillation: a larger teacher learns from labels in the same step as the student it teaches.

Soft targets after Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section
2, for one logit; distillation while fine-tuning pretrained embeddings after Hsu, Wang, Eksombatchai and Xu (RecSys
2024, arXiv 2508.18700), whose weights and temperatures are not public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import DistillationConfig
from tfrs_pretrain.ranking.learner import Learner
from tfrs_pretrain.ranking.losses import hard_losses

Step = Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]


def soft_losses(teacher_logits: tf.Tensor, logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """float32 [...]: T^2 times the cross-entropy of the student against the teacher, both softened by T.

    The factor T^2 keeps the size of the gradients as T changes (Hinton et al., section 2.1). No gradient flows into the
    teacher's logits [...], because ``hard_losses`` passes none to its targets.
    """
    targets = tf.sigmoid(teacher_logits / temperature)
    return temperature**2 * hard_losses(targets, logits / temperature)


def soft_weight(step: tf.Tensor, config: DistillationConfig) -> tf.Tensor:
    """float32 []: share of the soft loss at a step (from 0), growing linearly over the warm-up steps."""
    if not config.warmup_steps:
        return tf.constant(config.weight, tf.float32)
    return config.weight * tf.minimum(tf.cast(step, tf.float32) / config.warmup_steps, 1.0)


def label_step(student: Learner) -> Step:
    """A step that learns from labels alone; it reports ``loss``."""

    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logits = student.learn(batch, lambda logits: student.label_loss(batch, logits))
        return {"loss": tf.reduce_mean(student.label_loss(batch, logits))}

    return step


def distillation_step(student: Learner, teacher: Learner, config: DistillationConfig) -> Step:
    """A step that updates the teacher from labels, then the student from labels and from the teacher's logits.

    The student sees the teacher's logits from before the teacher learnt this batch's labels. Reported: ``loss`` (the
    student's mix), its parts ``hard`` and ``soft``, the teacher's own loss ``teacher`` and the ``soft_weight``.
    """

    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        weight = soft_weight(student.steps, config)
        teacher_logits = teacher.learn(batch, lambda logits: teacher.label_loss(batch, logits))

        def hard(logits: tf.Tensor) -> tf.Tensor:
            return student.label_loss(batch, logits)

        def soft(logits: tf.Tensor) -> tf.Tensor:
            return student.label_loss.weighted(soft_losses(teacher_logits, logits, config.temperature))

        def mixed(logits: tf.Tensor) -> tf.Tensor:
            return (1 - weight) * hard(logits) + weight * soft(logits)

        logits = student.learn(batch, mixed)
        return {
            "loss": tf.reduce_mean(mixed(logits)),
            "hard": tf.reduce_mean(hard(logits)),
            "soft": tf.reduce_mean(soft(logits)),
            "teacher": tf.reduce_mean(teacher.label_loss(batch, teacher_logits)),
            "soft_weight": weight,
        }

    return step
