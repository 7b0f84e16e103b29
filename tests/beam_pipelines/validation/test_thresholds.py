"""Measurements against limits."""

import math

from beam_pipelines.validation.thresholds import THRESHOLDS, Measurement, check_limits

LIMITS = dict.fromkeys(THRESHOLDS, None) | {"max_psi": 0.25, "max_oov_share": 0.0}


def test_a_value_at_its_limit_passes():
    checks = check_limits([Measurement("max_psi", value) for value in (0.25, 0.26, 0.0)], LIMITS)
    assert [(check["value"], check["violated"]) for check in checks] == [(0.26, True), (0.25, False), (0.0, False)]
    assert {check["limit"] for check in checks} == {0.25}


def test_without_a_limit_a_value_is_only_reported():
    [check] = check_limits([Measurement("max_ks", 1e9)], LIMITS)
    assert (check["limit"], check["violated"]) == (None, False)


def test_nan_violates_every_limit():
    [check] = check_limits([Measurement("max_psi", math.nan)], LIMITS)
    assert check["violated"]


def test_checks_are_sorted_by_threshold_then_the_worst_first():
    measurements = [Measurement("max_psi", 0.1, "b", "x"), Measurement("max_psi", 0.3, "b", "y"),
                    Measurement("max_oov_share", 0.0, "a", "x"), Measurement("max_psi", 0.1, "a", "z", "detail")]
    assert [(check["threshold"], check["split"], check["column"], check["detail"])
            for check in check_limits(measurements, LIMITS)] == [
        ("max_oov_share", "a", "x", ""), ("max_psi", "b", "y", ""), ("max_psi", "a", "z", "detail"),
        ("max_psi", "b", "x", "")]


def test_structure_and_missing_values_are_limited_and_other_drift_is_not_by_default():
    assert {name for name, threshold in THRESHOLDS.items() if threshold.default == 0} == {
        "max_missing_columns", "max_type_differences", "max_damaged_files", "max_malformed_records",
        "max_miscounted_examples", "max_unknown_rows", "max_vocabulary_mismatches"}
    assert {name: threshold.default for name, threshold in THRESHOLDS.items() if threshold.default} == {
        "max_missing_share": 0.99, "max_missing_shift": 0.1}
