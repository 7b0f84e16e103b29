"""Converts the statistics of a dataset, and of a reference, to measurements that have limits."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from beam_pipelines.validation.dataset import DescribedDataset
from beam_pipelines.validation.drift_metrics import Histogram, categorical_psi, kolmogorov_smirnov, numeric_psi
from beam_pipelines.validation.missing_values import missing_share
from beam_pipelines.validation.thresholds import Measurement

Statistics = dict[str, dict[str, Any]]  # split -> SplitStatistics.to_json()


def measure_contents(dataset: DescribedDataset, statistics: Statistics) -> Iterator[Measurement]:
    """Compares records, files and vocabularies with the schema and the manifest."""
    for split, measured in statistics.items():
        examples = dataset.info["splits"][split]["examples"]
        yield Measurement("max_damaged_files", len(measured["damaged"]), split, detail="; ".join(
            f"{path}: {problem}" for path, problem in sorted(measured["damaged"].items())))
        yield Measurement("max_malformed_records", measured["malformed"], split)
        yield Measurement("max_miscounted_examples", abs(measured["examples"] - examples), split,
                          detail=f"{measured['examples']} found, {examples} in dataset_info.json")
        yield from _measure_columns(dataset, split, measured)
    if dataset.has_vocabularies:
        wrong = [name for name in dataset.digests if dataset.vocabulary(name) is None]
        yield Measurement("max_vocabulary_mismatches", len(wrong), detail=", ".join(wrong))


def _measure_columns(dataset: DescribedDataset, split: str, measured: dict[str, Any]) -> Iterator[Measurement]:
    columns, expected = measured["columns"], dataset.expected_columns(split)
    missing = [name for name in expected
               if measured["records"] and _num_records(columns.get(name)) < measured["records"]]
    new = sorted(set(columns) - set(expected))
    different = [f"{name} ({_describe_values(columns[name])}, expected {column.dtype})"
                 for name, column in expected.items()
                 if name in columns and (set(columns[name]["dtypes"]) != {column.dtype}
                                         or (columns[name]["not_single"] and not column.many))]
    yield Measurement("max_missing_columns", len(missing), split, detail=", ".join(missing))
    yield Measurement("max_new_columns", len(new), split, detail=", ".join(new))
    yield Measurement("max_type_differences", len(different), split, detail=", ".join(different))
    for name, column in columns.items():
        # Most impressions may lack a label that is recorded after a rare event.
        optional = name in dataset.schema.optional_label_columns
        if name in expected and not optional and (share := missing_share(column)) is not None:
            yield Measurement("max_missing_share", share, split, name)
        if name in expected and expected[name].vocabulary:
            yield Measurement("max_unknown_rows", column["unknown"], split, name)
            yield Measurement("max_oov_share", oov_share(column), split, name)


def measure_schema_changes(dataset: DescribedDataset, reference: DescribedDataset) -> Iterator[Measurement]:
    """Compares the vocabularies and columns of two manifests."""
    changed = sorted(name for name in dataset.digests.keys() | reference.digests.keys()
                     if dataset.digests.get(name) != reference.digests.get(name))
    yield Measurement("max_vocabulary_changes", len(changed), detail=", ".join(changed))
    for split in sorted(dataset.info["splits"].keys() & reference.info["splits"].keys()):
        columns, others = dataset.expected_columns(split), reference.expected_columns(split)
        missing, new = sorted(others.keys() - columns.keys()), sorted(columns.keys() - others.keys())
        different = [f"{name} ({columns[name].dtype}, {others[name].dtype} in the reference)"
                     for name in columns if name in others and columns[name].dtype != others[name].dtype]
        yield Measurement("max_missing_columns", len(missing), split, detail=_in_reference(missing))
        yield Measurement("max_new_columns", len(new), split, detail=_in_reference(new))
        yield Measurement("max_type_differences", len(different), split, detail=", ".join(different))


def measure_drift(dataset: DescribedDataset, split: str, measured: dict[str, Any], reference: DescribedDataset,
                  reference_measured: dict[str, Any]) -> Iterator[Measurement]:
    """Compares the distributions of a split's columns with those of a reference split."""
    expected = dataset.expected_columns(split)
    for name, column in measured["columns"].items():
        other = reference_measured["columns"].get(name)
        if name not in expected or not other:
            continue
        if name not in dataset.labels or name in dataset.schema.optional_label_columns:
            yield from _measure_missing_shift(split, name, missing_share(column), missing_share(other))
        if not column["values"] or not other["values"]:
            continue
        if "mean" in column and "mean" in other:
            yield from _measure_numeric_drift(dataset, split, name, column, other)
        elif vocabulary := expected[name].vocabulary:
            yield Measurement("max_oov_shift", abs(oov_share(column) - oov_share(other)), split, name)
            counts = _count_values(dataset, vocabulary, column)
            reference_counts = _count_values(reference, vocabulary, other)
            if counts is not None and reference_counts is not None:
                yield Measurement("max_psi", categorical_psi(counts, reference_counts), split, name)


def _measure_missing_shift(split: str, name: str, share: float | None, other: float | None) -> Iterator[Measurement]:
    if share is not None and other is not None:
        yield Measurement("max_missing_shift", abs(share - other), split, name, f"{other:.1%} → {share:.1%}")


def _measure_numeric_drift(dataset: DescribedDataset, split: str, name: str, column: dict[str, Any],
                           other: dict[str, Any]) -> Iterator[Measurement]:
    if name in dataset.labels:
        yield Measurement("max_label_rate_shift", abs(column["mean"] - other["mean"]), split, name)
        return
    histogram, reference = _histogram(column), _histogram(other)
    yield Measurement("max_mean_shift", abs(column["mean"] - other["mean"]) / other["std"], split, name)
    yield Measurement("max_std_shift", abs(math.log(column["std"] / other["std"])), split, name)
    yield Measurement("max_psi", numeric_psi(histogram, reference), split, name)
    yield Measurement("max_ks", kolmogorov_smirnov(histogram, reference), split, name)


def _histogram(column: dict[str, Any]) -> Histogram:
    bins, counts = (np.array(part, np.int64) for part in column["histogram"])
    return Histogram(bins, counts, column["missing"])


def oov_share(column: dict[str, Any]) -> float:
    """Returns the share of values outside the vocabulary."""
    return float(column["oov"] / max(column["values"], 1))


def _count_values(dataset: DescribedDataset, name: str, column: dict[str, Any]) -> dict[Any, int] | None:
    """Counts by raw value, or by popularity band for large vocabularies; None counts ids outside the vocabulary.

    Returns None if the dataset has no such vocabulary.
    """
    rows, (bins, counts) = dataset.vocabulary_rows(name), column["histogram"]
    if rows is None:
        return None
    if not rows.exact:
        return dict(zip([("band", band) for band in bins], counts, strict=True)) | {None: column["oov"]}
    vocabulary = dataset.vocabulary(name)
    if vocabulary is None:
        return None
    values = vocabulary.ids.take(np.array(bins, np.int64) - vocabulary.oov_rows).to_pylist()
    return dict(zip(values, counts, strict=True)) | {None: column["oov"]}


def _num_records(column: dict[str, Any] | None) -> int:
    return sum(column["dtypes"].values()) if column else 0


def _describe_values(column: dict[str, Any]) -> str:
    dtypes = "/".join(sorted(column["dtypes"]))
    return f"{dtypes}, {column['not_single']} records without exactly one value" if column["not_single"] else dtypes


def _in_reference(names: list[str]) -> str:
    return f"compared with the reference: {', '.join(names)}" if names else ""
