"""A diagnosis with made-up numbers."""

import dataclasses

from tfrs_pretrain.diagnosis.controls import BASE, PRETRAINED
from tfrs_pretrain.diagnosis.diagnosis import ControlResult, Diagnosis, Extent
from tfrs_pretrain.diagnosis.generalization_gap import GapRow
from tfrs_pretrain.diagnosis.verdict import NONE, SHARP, Verdict
from tfrs_pretrain.evaluation.bootstrap import Resampling


def make_diagnosis(**changes):
    """A sharp drop that pretrained rows reduce to a quarter, two evaluations an epoch."""
    base = Verdict(SHARP, 0.98, 0.6, 0.02, 0.015, 0.025, 0.03)
    reduced = Verdict(NONE, 0.9, 0.59, 0.005, -0.001, 0.011, 0.002)
    curves = {"epoch": [0.5, 1.0, 1.5, 2.0], "examples": [50, 100, 150, 200], "train_loss": [0.65, 0.6, 0.5, 0.4],
              "auc": [0.6, 0.7, 0.65, None]}
    controls = {BASE: ControlResult(base, log_loss=[0.61, 0.6, 0.62, 0.63], **curves),
                PRETRAINED: ControlResult(reduced, log_loss=[0.6, 0.58, 0.59, 0.6], share_of_rise=0.25,
                                          replicates_below_half=0.97, **curves)}
    gap = [GapRow(1, "user", "1-4", 40, 60, 0.7, 0.6, 0.7 - 0.6), GapRow(1, "user", "100+", 0, 5, None, 0.5, None),
           GapRow(2, "user", "1-4", 40, 60, 0.8, 0.5, 0.8 - 0.5), GapRow(2, "user", "100+", 0, 5, None, 0.4, None)]
    diagnosis = Diagnosis(base, ["user"], 1, [0.6, 0.63], 40, Extent(points=2), 7, Resampling(100), controls, gap, 3.5,
                          "d" * 64, {"id_dim": 8})
    return dataclasses.replace(diagnosis, **changes)
