"""Warm-up requests, which TensorFlow Serving replays before a version becomes available."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfrs_pretrain.features.raw_input import CONTEXT, ITEM, RawInput
from tfrs_pretrain.serving.exporting.prediction_logs import prediction_log, serialize_examples
from tfrs_pretrain.serving.graph.signatures import EMBEDDINGS
from tfrs_pretrain.serving.protocol.signature_names import (
    CLASSIFY,
    PREDICT_EXAMPLES,
    RANK,
    REGRESS,
    SERIALIZED_EXAMPLES,
    SERVING_DEFAULT,
)

# The first request of each size is slow. Rankers usually score one item or pages of items. The server replays at most
# 1,000 records.
BATCH_SIZES = (1, 8, 64)
CANDIDATES = (1, 64, 512)
REPETITIONS = 3  # the second request of a size is also slow


def warmup_logs(model: str, raw: Mapping[str, np.ndarray], inputs: Mapping[str, RawInput]) -> Iterator[PredictionLog]:
    """Yields requests to every signature.

    Args:
      model: name under which the server serves the model.
      raw: input name -> raw values [n, ...]; repeated or cut to the size of each request.
      inputs: inputs of the model.
    """
    for _ in range(REPETITIONS):
        for size in BATCH_SIZES:
            batch = {name: _resized(values, size) for name, values in raw.items()}
            examples = {SERIALIZED_EXAMPLES: serialize_examples(batch, inputs)}
            yield prediction_log(model, SERVING_DEFAULT, batch)
            for signature in (PREDICT_EXAMPLES, CLASSIFY, REGRESS):
                yield prediction_log(model, signature, examples)
            for signature, (_, name) in EMBEDDINGS.items():
                yield prediction_log(model, signature, {name: batch[name]})
        for size in CANDIDATES:
            for repeated in ((ITEM,), (ITEM, CONTEXT)):
                yield prediction_log(model, RANK, {name: _resized(raw[name], size if spec.side in repeated else 1)
                                                   for name, spec in inputs.items()})


def _resized(values: np.ndarray, size: int) -> np.ndarray:
    return np.resize(values, (size, *values.shape[1:]))
