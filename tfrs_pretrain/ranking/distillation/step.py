"""Knowledge distillation, from a larger teacher that learns in the same step as its student, or from a fixed one.

Soft targets after Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section
2, for one logit; distillation while fine-tuning pretrained embeddings after Hsu, Wang, Eksombatchai and Xu (RecSys
2024, arXiv 2508.18700), whose weights and temperatures are not public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from tfrs_pretrain.config import DistillationConfig
from tfrs_pretrain.ranking.learning.learner import Learner
from tfrs_pretrain.ranking.learning.losses import hard_losses

TEACHER_LOGITS = "teacher_logits"  # column of a batch: a fixed teacher's float32 [batch, heads]

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
    """A step that learns from labels alone; it reports ``loss``, with an anchor also its parts ``hard`` and ``anchor``.
    """

    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        learnt = student.learn(batch, lambda logits: student.label_loss(batch, logits))
        hard = tf.reduce_mean(student.label_loss(batch, learnt.logits))
        if learnt.anchor is None:
            return {"loss": hard}
        return {"loss": hard + learnt.anchor, "hard": hard, "anchor": learnt.anchor}

    return step


def distillation_step(student: Learner, teacher: Learner | None, config: DistillationConfig) -> Step:
    """A step in which the student learns from labels and from a teacher's logits.

    A teacher that learns is updated first, from labels alone; the student sees its logits from before that. Without
    one, the logits come with the batch, as column ``TEACHER_LOGITS``. Reported: ``loss`` (all that the student
    minimises), its parts ``hard``, ``soft`` and, with an anchor, ``anchor``; the teacher's own loss ``teacher``; the
    ``soft_weight``.
    """

    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        weight = soft_weight(student.steps, config)
        if teacher is None:
            teacher_logits = batch[TEACHER_LOGITS]
        else:
            teacher_logits = teacher.learn(batch, lambda logits: teacher.label_loss(batch, logits)).logits

        def hard(logits: tf.Tensor) -> tf.Tensor:
            return student.label_loss(batch, logits)

        def soft(logits: tf.Tensor) -> tf.Tensor:
            return student.label_loss.weighted(soft_losses(teacher_logits, logits, config.temperature))

        def mixed(logits: tf.Tensor) -> tf.Tensor:
            return (1 - weight) * hard(logits) + weight * soft(logits)

        logits, anchor = student.learn(batch, mixed)
        loss, parts = tf.reduce_mean(mixed(logits)), {} if anchor is None else {"anchor": anchor}
        return {
            "loss": loss if anchor is None else loss + anchor,
            "hard": tf.reduce_mean(hard(logits)),
            "soft": tf.reduce_mean(soft(logits)),
            "teacher": tf.reduce_mean(student.label_loss(batch, teacher_logits)),
            "soft_weight": weight,
            **parts,
        }

    return step
