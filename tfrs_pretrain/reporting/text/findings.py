"""The findings of a study as sentences, in the order of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrs_pretrain.reporting.text.comparison_sentences import comparison_sentences
from tfrs_pretrain.reporting.text.differences import find_comparison
from tfrs_pretrain.reporting.text.formats import capitalized, signed, spaced
from tfrs_pretrain.reporting.text.training_sentences import failure_sentences, one_epoch_sentence, stage_one_sentences


def findings(results: Mapping[str, Any]) -> list[str]:
    """Return the sentences about comparisons, the benefit of pretraining, the one-epoch phenomenon, Stage I, failures.
    """
    one_epoch, line = one_epoch_sentence(results), (results["benefit"] or {}).get("line")
    return [*comparison_sentences(results), *([f"{capitalized(line)}."] if line else []),
            *([one_epoch] if one_epoch else []),
            *stage_one_sentences(results["stage_one"]), *failure_sentences(results["arms"])]


def frequency_sentence(results: Mapping[str, Any]) -> str | None:
    """Name the item buckets with the headline arm's largest and smallest difference; None with fewer than two buckets.
    """
    comparison = find_comparison(results, results["headline"], results["baseline"])
    if comparison is None:
        return None
    differences = [(part["auc"]["value"], part["slice"]) for part in comparison["slices"].get("item_frequency", ())
                   if part["auc"]["value"] is not None]
    if len(differences) < 2:
        return None
    (smallest, smallest_bucket), (largest, largest_bucket) = min(differences), max(differences)
    return (f"{capitalized(spaced(comparison['arm']))} against {spaced(comparison['against'])}: the largest difference "
            f"is {signed(largest)} on items with {largest_bucket} engagements, the smallest {signed(smallest)} on "
            f"items with {smallest_bucket} engagements.")
