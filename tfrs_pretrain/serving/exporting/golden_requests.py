"""Golden requests to every signature, with the trained model's answers; a version must pass them before it appears."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfrs_pretrain.features.raw_input import CONTEXT, USER, RawInput
from tfrs_pretrain.serving.exporting.golden_impressions import GoldenImpressions
from tfrs_pretrain.serving.exporting.prediction_logs import serialize_examples
from tfrs_pretrain.serving.exporting.reference_scorer import ReferenceScorer
from tfrs_pretrain.serving.graph.signatures import EMBEDDINGS
from tfrs_pretrain.serving.protocol.signature_names import (
    CLASSIFY,
    PREDICT_EXAMPLES,
    RANK,
    REGRESS,
    SERIALIZED_EXAMPLES,
    SERVING_DEFAULT,
)
from tfrs_pretrain.value_types import MISSING, missing_value

# Number of impressions that are also sent with unknown, missing and too many values; number of users to rank for.
NUM_ODD, NUM_USERS = 8, 3
UNKNOWN = {"int64": -7_777_777_777, "string": "never seen: ∅", "float32": 0.0}


@dataclasses.dataclass(frozen=True)
class GoldenRequest:
    """A request with the expected answer.

    Attributes:
      signature: signature to call.
      inputs: input name -> values.
      outputs: output name -> values of the trained model, one for each of ``rows``.
      rows: description of each row of the answer, for messages.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    rows: Sequence[str]


def golden_requests(golden: GoldenImpressions, trained: ReferenceScorer, inputs: Mapping[str, RawInput],
                    classes: Sequence[str]) -> list[GoldenRequest]:
    """Creates requests to every signature: held-out impressions, and variants with odd values.

    Args:
      golden: held-out impressions, scored from the dataset's records.
      trained: scores the variants, which are not among the records.
      inputs: inputs of the served model.
      classes: labels that ``classify`` returns.
    """
    rows = [f"golden impression {key}" for key in golden.keys.tolist()]
    odd = _odd_variants(golden.inputs, inputs)
    odd_rows = [f"{row} with {change} values" for change in ("unknown", "missing", "too many")
                for row in rows[:NUM_ODD]]
    requests = [*_score_requests(golden.inputs, golden.scores, rows, inputs, classes),
                *_score_requests(odd, trained.scores(odd), odd_rows, inputs, classes)]
    for user in range(min(NUM_USERS, len(rows))):
        for num_candidates in dict.fromkeys((0, 1, len(rows))):
            requests.append(_rank_request(golden, trained, inputs, rows, user, num_candidates))
    for signature, (space, name) in EMBEDDINGS.items():
        ids = np.concatenate([golden.inputs[name], odd[name]])
        requests.append(GoldenRequest(signature, {name: ids}, {"embedding": trained.embeddings(space, ids)},
                                      [*rows, *odd_rows]))
    return requests


def _score_requests(raw: dict[str, np.ndarray], scores: dict[str, np.ndarray], rows: Sequence[str],
                    inputs: Mapping[str, RawInput], classes: Sequence[str]) -> list[GoldenRequest]:
    """The same impressions as feature tensors and as tf.Examples."""
    main, *_ = scores.values()
    serialized = {SERIALIZED_EXAMPLES: serialize_examples(raw, inputs)}
    classified = {"classes": np.array([list(classes)] * len(rows), object),
                  "scores": np.stack(list(scores.values()), axis=1)}
    return [GoldenRequest(SERVING_DEFAULT, raw, scores, rows),
            GoldenRequest(PREDICT_EXAMPLES, serialized, scores, rows),
            GoldenRequest(CLASSIFY, serialized, classified, rows),
            GoldenRequest(REGRESS, serialized, {"outputs": main}, rows)]


def _rank_request(golden: GoldenImpressions, trained: ReferenceScorer, inputs: Mapping[str, RawInput],
                  rows: Sequence[str], user: int, num_candidates: int) -> GoldenRequest:
    """The user of one impression with the items of the first impressions.

    The first user's request has the context of each item's impression, the others' the context of the user's impression
    alone: ``rank`` accepts both.
    """
    single = (USER, CONTEXT) if user else (USER,)
    sent = {name: golden.inputs[name][user:user + 1] if spec.side in single else golden.inputs[name][:num_candidates]
            for name, spec in inputs.items()}
    repeated = {name: np.repeat(values, num_candidates, axis=0) if inputs[name].side in single else values
                for name, values in sent.items()}
    return GoldenRequest(RANK, sent, trained.scores(repeated),
                         [f"user of {rows[user]}, item of {item}" for item in rows[:num_candidates]])


def _odd_variants(raw: Mapping[str, np.ndarray], inputs: Mapping[str, RawInput]) -> dict[str, np.ndarray]:
    """The first impressions three times: with unknown values, with missing values (except ids), with long lists."""
    return {name: _odd_lists(raw[name][:NUM_ODD], spec) if spec.length
            else _odd_values(raw[name][:NUM_ODD], spec) for name, spec in inputs.items()}


def _odd_values(values: np.ndarray, spec: RawInput) -> np.ndarray:
    missing = values if spec.required else np.full_like(values, missing_value(spec.dtype))
    return np.concatenate([np.full_like(values, UNKNOWN[spec.dtype]), missing, values])


def _odd_lists(lists: np.ndarray, spec: RawInput) -> np.ndarray:
    unknown = np.full_like(lists[:, :1], UNKNOWN[spec.dtype])
    long = np.concatenate([lists, unknown, lists], axis=1)
    return np.concatenate([np.repeat(unknown, long.shape[1], axis=1), np.full_like(long, MISSING[spec.dtype]), long])
