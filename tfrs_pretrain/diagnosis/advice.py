"""A diagnosis in sentences."""

from __future__ import annotations

from tfrs_pretrain.diagnosis.controls import PRETRAINED
from tfrs_pretrain.diagnosis.diagnosis import Diagnosis
from tfrs_pretrain.diagnosis.verdict import NONE, SHARP, STEADY


def advice(diagnosis: Diagnosis) -> list[str]:
    """State the verdict, what causes it and what to do, one sentence each."""
    verdict, stop = diagnosis.verdict, diagnosis.stop_after_epochs
    sentences = [f"{verdict.verdict} (confidence {verdict.confidence:.0%}): held-out log loss "
                 f"{verdict.before:.4f} before the border, {verdict.border:+.4f} "
                 f"[{verdict.border_low:+.4f}, {verdict.border_high:+.4f}] right after it, {verdict.end:+.4f} at "
                 "the end of the second epoch"]
    if verdict.verdict == SHARP:
        sentences.append(f"caused by {' and '.join(diagnosis.blamed)} ids" if diagnosis.blamed else
                         "no single id space is the cause with certainty")
    if verdict.verdict in (SHARP, STEADY):
        sentences.append(f"stop after epoch {stop}, or pretrain the ids (`tfrs-pretrain pretrain`)")
    if verdict.verdict == NONE:
        sentences.append("more epochs do no harm here" + ("" if stop == 1 else f"; best so far after epoch {stop}"))
    return sentences + _effect_of_pretraining(diagnosis)


def _effect_of_pretraining(diagnosis: Diagnosis) -> list[str]:
    pretrained = diagnosis.controls.get(PRETRAINED)
    if pretrained is None or diagnosis.verdict.verdict != SHARP:
        return []
    change = pretrained.log_loss[diagnosis.extent.points - 1] - diagnosis.log_loss_at_epoch_ends[0]
    return [f"with pretrained rows {pretrained.share_of_rise:.0%} of that rise remains; their log loss after one epoch "
            f"is {change:+.4f} from that of random rows"]
