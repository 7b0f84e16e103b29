"""Golden and warm-up requests of an exported version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfrs_pretrain.forgetting.ids import ForgottenIds
from tfrs_pretrain.forgetting.staging import new_file
from tfrs_pretrain.schema import HISTORY
from tfrs_pretrain.serving.exporting.golden_requests import UNKNOWN
from tfrs_pretrain.serving.exporting.prediction_logs import write_prediction_logs
from tfrs_pretrain.serving.protocol.signature_names import SERIALIZED_EXAMPLES
from tfrs_pretrain.serving.protocol.tfrecords import read_prediction_logs

ANSWERS = "outputs"
_LISTS = {"int64_list": int, "bytes_list": bytes}


def id_inputs(ids: ForgottenIds) -> tuple[str, ...]:
    """Names of the model's inputs that contain ids of the space."""
    return (ids.column, HISTORY) if ids.space == "item" else (ids.column,)


def erase_rest(path: Path, ids: ForgottenIds) -> int:
    """Removes the instances that contain an id, with their answers, from a file of golden requests for REST."""
    content = json.loads(path.read_text())
    keep = [not _in_instance(instance, ids) for instance in content["instances"]]
    if all(keep):
        return 0
    content["instances"] = [each for each, kept in zip(content["instances"], keep, strict=True) if kept]
    content[ANSWERS] = {name: [value for value, kept in zip(values, keep, strict=True) if kept]
                        for name, values in content[ANSWERS].items()}
    new_file(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return keep.count(False)


def count_in_rest(path: Path, ids: ForgottenIds) -> int:
    """Returns the number of instances that contain an id."""
    return sum(_in_instance(instance, ids) for instance in json.loads(path.read_text())["instances"])


def _in_instance(instance: Mapping[str, Any], ids: ForgottenIds) -> bool:
    values = [instance[name] for name in id_inputs(ids) if name in instance]
    flat = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return bool(flat) and bool(ids.contains(pa.array(flat, ids.ids.type)).any())


def erase_golden(path: Path, ids: ForgottenIds) -> int:
    """Removes golden requests that contain an id; the other rows of a request are answered alone, so they stay.

    Returns:
      Number of removed rows.
    """
    logs, removed = [], 0
    for log in map(_parsed, read_prediction_logs(path)):
        rows = _rows_with_ids(log, ids)
        removed += int(rows.sum())
        kept = _without_rows(log, rows) if rows.any() else log
        if kept is not None:
            logs.append(kept)
    if removed:
        write_prediction_logs(new_file(path), logs)
    return removed


def erase_warmup(path: Path, ids: ForgottenIds) -> int:
    """Replaces the ids in warm-up requests by an unknown one, so that requests keep their sizes; counts the values."""
    logs, count = [], 0
    for log in map(_parsed, read_prediction_logs(path)):
        count += _replace(log, ids)
        logs.append(log)
    if count:
        write_prediction_logs(new_file(path), logs)
    return count


def count_in_logs(path: Path, ids: ForgottenIds) -> int:
    """Returns the number of values in the requests of a file that are ids."""
    return sum(int(found.sum()) for log in map(_parsed, read_prediction_logs(path))
               for found in _found(log, ids))


def _parsed(log: Any) -> PredictionLog:
    return PredictionLog.FromString(log.SerializeToString())


def _examples(log: PredictionLog) -> Any:
    """The tf.Examples of a Classify or Regress request."""
    kind = log.classify_log if log.HasField("classify_log") else log.regress_log
    return kind.request.input.example_list.examples


def _arrays(log: PredictionLog) -> dict[str, np.ndarray]:
    return {name: np.array(tf.make_ndarray(proto)) for name, proto in log.predict_log.request.inputs.items()}


def _example_values(example: Any, name: str) -> tuple[Any, list[Any]]:
    feature = example.features.feature
    kind = feature[name].WhichOneof("kind") if name in feature else None
    if kind not in _LISTS:
        return None, []
    values = getattr(feature[name], kind).value
    return values, [value.decode() if isinstance(value, bytes) else value for value in values]


def _contained(values: list[Any], ids: ForgottenIds) -> np.ndarray:
    return ids.contains(pa.array(values, ids.ids.type))


def _array_contained(values: np.ndarray, ids: ForgottenIds) -> np.ndarray:
    plain = [value.decode() if isinstance(value, bytes) else value for value in values.ravel().tolist()]
    return _contained(plain, ids).reshape(values.shape)


def _found(log: PredictionLog, ids: ForgottenIds) -> Iterator[np.ndarray]:
    """Yields bool arrays: which values of the id inputs are ids."""
    if not log.HasField("predict_log"):
        yield from (_in_example(example, ids) for example in _examples(log))
        return
    arrays = _arrays(log)
    if SERIALIZED_EXAMPLES in arrays:
        yield from (_in_example(tf.train.Example.FromString(text), ids) for text in arrays[SERIALIZED_EXAMPLES])
    yield from (_array_contained(arrays[name], ids) for name in id_inputs(ids) if name in arrays)


def _in_example(example: Any, ids: ForgottenIds) -> np.ndarray:
    return np.concatenate([_contained(_example_values(example, name)[1], ids) for name in id_inputs(ids)])


def _rows_with_ids(log: PredictionLog, ids: ForgottenIds) -> np.ndarray:
    """Returns bool [rows of the answer]: rows whose request contains an id."""
    if not log.HasField("predict_log"):
        return np.array([_in_example(example, ids).any() for example in _examples(log)], bool)
    arrays = _arrays(log)
    if SERIALIZED_EXAMPLES in arrays:
        return np.array([_in_example(tf.train.Example.FromString(text), ids).any()
                         for text in arrays[SERIALIZED_EXAMPLES]], bool)
    rows = np.zeros(max(len(values) for values in arrays.values()), bool)
    for name in id_inputs(ids):
        if name in arrays and len(arrays[name]):  # the user of a request with several items has one row
            found = _array_contained(arrays[name], ids).reshape(len(arrays[name]), -1).any(axis=1)
            rows |= np.broadcast_to(found, rows.shape)
    return rows


def _without_rows(log: PredictionLog, rows: np.ndarray) -> PredictionLog | None:
    """Removes rows from a request and its answer; None: no row is left."""
    if rows.all():
        return None
    if not log.HasField("predict_log"):
        _delete(_examples(log), rows)
        _delete(log.classify_log.response.result.classifications if log.HasField("classify_log")
                else log.regress_log.response.result.regressions, rows)
        return log
    for protos in (log.predict_log.request.inputs, log.predict_log.response.outputs):
        for name in list(protos):
            values = tf.make_ndarray(protos[name])
            if len(values) == len(rows):
                protos[name].CopyFrom(tf.make_tensor_proto(values[~rows], protos[name].dtype))
    return log


def _delete(repeated: Any, rows: np.ndarray) -> None:
    for position in np.flatnonzero(rows)[::-1].tolist():
        del repeated[position]


def _replace(log: PredictionLog, ids: ForgottenIds) -> int:
    """Replaces the ids in a request; returns their number."""
    if not log.HasField("predict_log"):
        return sum(_replace_in_example(example, ids) for example in _examples(log))
    count, protos = 0, log.predict_log.request.inputs
    for name, values in _arrays(log).items():
        found, changed = _replaced(name, values, ids)
        count += found
        if found:
            protos[name].CopyFrom(tf.make_tensor_proto(changed, protos[name].dtype))
    return count


def _replaced(name: str, values: np.ndarray, ids: ForgottenIds) -> tuple[int, np.ndarray]:
    if name == SERIALIZED_EXAMPLES:
        examples = [tf.train.Example.FromString(text) for text in values]
        found = sum(_replace_in_example(example, ids) for example in examples)
        return found, np.array([example.SerializeToString(deterministic=True) for example in examples], object)
    if name not in id_inputs(ids):
        return 0, values
    mask = _array_contained(values, ids)
    values[mask] = _unknown(ids)
    return int(mask.sum()), values


def _replace_in_example(example: Any, ids: ForgottenIds) -> int:
    count = 0
    for name in id_inputs(ids):
        target, values = _example_values(example, name)
        mask = _contained(values, ids)
        for position in np.flatnonzero(mask).tolist():
            target[position] = _unknown(ids)
        count += int(mask.sum())
    return count


def _unknown(ids: ForgottenIds) -> Any:
    value: Any = UNKNOWN["int64" if pa.types.is_int64(ids.ids.type) else "string"]
    return value.encode() if isinstance(value, str) else value
