"""Golden requests: what every signature is asked before a version appears, and what the trained model answers."""

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

# Impressions that are also asked for with unknown, missing and too many values, and users whose candidates are ranked.
ODD, USERS = 8, 3
UNSEEN = {"int64": -7_777_777_777, "string": "never seen: ∅", "float32": 0.0}


@dataclasses.dataclass(frozen=True)
class GoldenRequest:
    """One request and what is expected of it.

    Attributes:
      signature: that is asked.
      inputs: input name -> values.
      outputs: output name -> what the trained model gives, a row for each of ``rows``.
      rows: what each row of the answer is about, for messages.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    rows: Sequence[str]


def golden_requests(golden: GoldenImpressions, trained: ReferenceScorer, inputs: Mapping[str, RawInput],
                    classes: Sequence[str]) -> list[GoldenRequest]:
    """Requests to every signature: held-out impressions, and variants with unknown, missing and too many values.

    Args:
      golden: held-out impressions, scored from the dataset's records.
      trained: scores all that the records do not hold.
      inputs: of the served model.
      classes: labels that ``classify`` names.
    """
    odd = _odd(golden.inputs, inputs)
    about = [f"golden impression {key}" for key in golden.keys.tolist()]
    odd_about = [f"{about[place]} with {change} values" for change in ("unknown", "missing", "too many")
                 for place in range(len(about[:ODD]))]
    requests = [*_pointwise(golden.inputs, golden.scores, about, inputs, classes),
                *_pointwise(odd, trained.scores(odd), odd_about, inputs, classes)]
    for place in range(min(USERS, len(about))):
        for count in dict.fromkeys((0, 1, len(about))):
            requests.append(_ranked(golden, trained, inputs, about, place, count))
    for signature, (space, name) in EMBEDDINGS.items():
        ids = np.concatenate([golden.inputs[name], odd[name]])
        requests.append(GoldenRequest(signature, {name: ids}, {"embedding": trained.embeddings(space, ids)},
                                      [*about, *odd_about]))
    return requests


def _pointwise(raw: dict[str, np.ndarray], scores: dict[str, np.ndarray], about: Sequence[str],
               inputs: Mapping[str, RawInput], classes: Sequence[str]) -> list[GoldenRequest]:
    """The same impressions as feature tensors and as tf.Examples."""
    main, *_ = scores.values()
    serialized = {SERIALIZED_EXAMPLES: serialize_examples(raw, inputs)}
    classified = {"classes": np.array([list(classes)] * len(about), object),
                  "scores": np.stack(list(scores.values()), axis=1)}
    return [GoldenRequest(SERVING_DEFAULT, raw, scores, about),
            GoldenRequest(PREDICT_EXAMPLES, serialized, scores, about),
            GoldenRequest(CLASSIFY, serialized, classified, about),
            GoldenRequest(REGRESS, serialized, {"outputs": main}, about)]


def _ranked(golden: GoldenImpressions, trained: ReferenceScorer, inputs: Mapping[str, RawInput], about: Sequence[str],
            place: int, count: int) -> GoldenRequest:
    """The user of one impression and the items of the first ``count``, in its context or, of the first user, theirs."""
    ours = (USER, CONTEXT) if place else (USER,)
    sent = {name: golden.inputs[name][place:place + 1] if of.side in ours else golden.inputs[name][:count]
            for name, of in inputs.items()}
    repeated = {name: np.repeat(values, count, axis=0) if inputs[name].side in ours else values
                for name, values in sent.items()}
    return GoldenRequest(RANK, sent, trained.scores(repeated),
                         [f"user of {about[place]}, item of {other}" for other in about[:count]])


def _odd(raw: Mapping[str, np.ndarray], inputs: Mapping[str, RawInput]) -> dict[str, np.ndarray]:
    """The first impressions three times: with unknown values, with missing ones (but for the ids), with long lists."""
    return {name: _odd_lists(raw[name][:ODD], of) if of.length
            else _odd_values(raw[name][:ODD], of) for name, of in inputs.items()}


def _odd_values(values: np.ndarray, of: RawInput) -> np.ndarray:
    missing = values if of.required else np.full_like(values, missing_value(of.dtype))
    return np.concatenate([np.full_like(values, UNSEEN[of.dtype]), missing, values])


def _odd_lists(lists: np.ndarray, of: RawInput) -> np.ndarray:
    unknown = np.full_like(lists[:, :1], UNSEEN[of.dtype])
    long = np.concatenate([lists, unknown, lists], axis=1)
    return np.concatenate([np.repeat(unknown, long.shape[1], axis=1), np.full_like(long, MISSING[of.dtype]), long])
