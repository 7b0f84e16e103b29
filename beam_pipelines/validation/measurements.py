"""From the statistics of a dataset, and of a reference if there is one, to measurements."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from beam_pipelines.validation.dataset import DescribedDataset
from beam_pipelines.validation.drift_metrics import Histogram, categorical_psi, kolmogorov_smirnov, numeric_psi
from beam_pipelines.validation.thresholds import Measurement

Statistics = dict[str, dict[str, Any]]


def contents(dataset: DescribedDataset, statistics: Statistics) -> Iterator[Measurement]:
    """What records, files and vocabularies hold against what schema and manifest say."""
    for split, found in statistics.items():
        examples = dataset.info["splits"][split]["examples"]
        yield Measurement("max_damaged_files", len(found["damaged"]), split, detail="; ".join(
            f"{path}: {problem}" for path, problem in sorted(found["damaged"].items())))
        yield Measurement("max_malformed_records", found["malformed"], split)
        yield Measurement("max_miscounted_examples", abs(found["examples"] - examples), split,
                          detail=f"{found['examples']} found, {examples} recorded")
        yield from _columns(dataset, split, found)
    if dataset.has_vocabularies:
        wrong = [name for name in dataset.digests if dataset.vocabulary(name) is None]
        yield Measurement("max_vocabulary_mismatches", len(wrong), detail=", ".join(wrong))


def _columns(dataset: DescribedDataset, split: str, found: dict[str, Any]) -> Iterator[Measurement]:
    columns, expected = found["columns"], dataset.expected(split)
    missing = [name for name in expected if found["records"] and _records(columns.get(name)) < found["records"]]
    new = sorted(set(columns) - set(expected))
    other = [f"{name} ({_kinds(columns[name])}, expected {wanted.kind})" for name, wanted in expected.items()
             if name in columns and (set(columns[name]["kinds"]) != {wanted.kind}
                                     or (columns[name]["lists"] and not wanted.many))]
    yield Measurement("max_missing_columns", len(missing), split, detail=", ".join(missing))
    yield Measurement("max_new_columns", len(new), split, detail=", ".join(new))
    yield Measurement("max_type_differences", len(other), split, detail=", ".join(other))
    for name, column in columns.items():
        if name in expected and expected[name].vocabulary:
            yield Measurement("max_unknown_rows", column["outside"], split, name)
            yield Measurement("max_oov_share", oov_share(column), split, name)


def differences(dataset: DescribedDataset, reference: DescribedDataset) -> Iterator[Measurement]:
    """Vocabularies and columns of two datasets, as their manifests tell."""
    changed = sorted(name for name in dataset.digests.keys() | reference.digests.keys()
                     if dataset.digests.get(name) != reference.digests.get(name))
    yield Measurement("max_vocabulary_changes", len(changed), detail=", ".join(changed))
    for split in sorted(dataset.info["splits"].keys() & reference.info["splits"].keys()):
        own, theirs = dataset.expected(split), reference.expected(split)
        lost, new = sorted(theirs.keys() - own.keys()), sorted(own.keys() - theirs.keys())
        other = [f"{name} ({own[name].kind}, {theirs[name].kind} in the reference)"
                 for name in own if name in theirs and own[name].kind != theirs[name].kind]
        yield Measurement("max_missing_columns", len(lost), split, detail=_in_reference(lost))
        yield Measurement("max_new_columns", len(new), split, detail=_in_reference(new))
        yield Measurement("max_type_differences", len(other), split, detail=", ".join(other))


def drift(dataset: DescribedDataset, split: str, found: dict[str, Any], reference: DescribedDataset,
          theirs: dict[str, Any]) -> Iterator[Measurement]:
    """How far the columns of a split have moved from those of a reference."""
    expected = dataset.expected(split)
    for name, column in found["columns"].items():
        other = theirs["columns"].get(name)
        if name not in expected or not other or not column["values"] or not other["values"]:
            continue
        if "mean" in column and "mean" in other:
            yield from _numeric(dataset, split, name, column, other)
        elif vocabulary := expected[name].vocabulary:
            yield Measurement("max_oov_shift", abs(oov_share(column) - oov_share(other)), split, name)
            counts, reference_counts = _values(dataset, vocabulary, column), _values(reference, vocabulary, other)
            if counts is not None and reference_counts is not None:
                yield Measurement("max_psi", categorical_psi(counts, reference_counts), split, name)


def _numeric(dataset: DescribedDataset, split: str, name: str, column: dict[str, Any], other: dict[str, Any]
             ) -> Iterator[Measurement]:
    if name in dataset.labels:
        yield Measurement("max_label_rate_shift", abs(column["mean"] - other["mean"]), split, name)
        return
    own, theirs = _histogram(column), _histogram(other)
    missing = abs(column["missing"] / column["values"] - other["missing"] / other["values"])
    yield Measurement("max_missing_shift", missing, split, name)
    yield Measurement("max_mean_shift", abs(column["mean"] - other["mean"]) / other["std"], split, name)
    yield Measurement("max_std_shift", abs(math.log(column["std"] / other["std"])), split, name)
    yield Measurement("max_psi", numeric_psi(own, theirs), split, name)
    yield Measurement("max_ks", kolmogorov_smirnov(own, theirs), split, name)


def _histogram(column: dict[str, Any]) -> Histogram:
    bins, counts = (np.array(part, np.int64) for part in column["histogram"])
    return Histogram(bins, counts, column["missing"])


def oov_share(column: dict[str, Any]) -> float:
    """Share of values outside the vocabulary."""
    return float(column["oov"] / max(column["values"], 1))


def _values(dataset: DescribedDataset, name: str, column: dict[str, Any]) -> dict[Any, int] | None:
    """Counts by raw value, or by band where rows are not counted one by one; ids outside come under None."""
    rows, (bins, counts) = dataset.rows(name), column["histogram"]
    if rows is None:
        return None
    if not rows.exact:
        return dict(zip([("band", band) for band in bins], counts, strict=True)) | {None: column["oov"]}
    vocabulary = dataset.vocabulary(name)
    if vocabulary is None:
        return None
    values = vocabulary.ids.take(np.array(bins, np.int64) - vocabulary.oov_rows).to_pylist()
    return dict(zip(values, counts, strict=True)) | {None: column["oov"]}


def _records(column: dict[str, Any] | None) -> int:
    return sum(column["kinds"].values()) if column else 0


def _kinds(column: dict[str, Any]) -> str:
    kinds = "/".join(sorted(column["kinds"]))
    return f"{kinds}, {column['lists']} records without exactly one value" if column["lists"] else kinds


def _in_reference(names: list[str]) -> str:
    return f"against the reference: {', '.join(names)}" if names else ""
