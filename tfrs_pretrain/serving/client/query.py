"""``tfrs-pretrain query``: sends a JSON request to a server and returns the answer as JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.client import Client
from tfrs_pretrain.serving.client.grpc_client import GrpcClient
from tfrs_pretrain.serving.client.query_inputs import columns_of, empty_candidates, examples_of, typed_columns
from tfrs_pretrain.serving.client.request_types import Classify, Embed, Model, Predict, PredictExamples, Rank, Regress
from tfrs_pretrain.serving.client.response_types import Signature, TensorSpec
from tfrs_pretrain.serving.client.rest_client import RestClient

Answer = Any


class Verb(NamedTuple):
    """A kind of request: a description of its JSON body, and the function that sends it."""

    body: str
    send: Callable[[Client, Any], Answer]


def query_server(address: str, model: str, verb: str, request: Path, *, rest: bool, version: int | None,
                 label: str | None, timeout: float) -> Answer:
    """Sends a request from a file to a server.

    Args:
      address: ``host:port``.
      model: name of the model.
      verb: one of ``VERBS``.
      request: JSON file; ``-`` reads standard input.
      rest: use REST instead of gRPC.
      version: number of the version to call.
      label: label of the version to call.
      timeout: seconds, retries included.

    Raises:
      UserError: the verb is unknown, the file is no JSON, or see ``query``.
    """
    if verb not in VERBS:
        raise UserError(f"unknown request {verb!r}: choose from {', '.join(VERBS)}")
    with (RestClient if rest else GrpcClient)(address, Model(model, version, label), timeout=timeout) as client:
        return query(client, verb, None if verb in VERBS_WITHOUT_BODY else _read_json(request))


def query(client: Client, verb: str, body: Any) -> Answer:
    """Sends a request and returns the answer as JSON values.

    Args:
      client: client of the model.
      verb: one of ``VERBS``.
      body: parsed JSON body of the verb; None for verbs without one.

    Raises:
      UserError: the body does not have the verb's form, or the server returns an error.
    """
    try:
        return VERBS[verb].send(client, body)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"the request body does not fit {verb} ({type(error).__name__}: {error}): expected "
                        f"{VERBS[verb].body}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"request {str(path)!r} cannot be read as JSON ({error})") from error


def _predict(client: Client, body: Any) -> Answer:
    content = body if isinstance(body, dict) and {"inputs", "instances"} & body.keys() else {"instances": body}
    columns = content["inputs"] if "inputs" in content else columns_of(content["instances"])
    name = content.get("signature_name", Predict.signature)
    return _as_json(client.predict(Predict(typed_columns(columns, _signature(client, name)), name)))


def _rank(client: Client, body: Any) -> Answer:
    candidates, signature = body["candidates"], _signature(client, Rank.signature)
    user, context = body.get("user", {}), body.get("context", {})
    columns = columns_of(candidates) if isinstance(candidates, list) else candidates
    if not candidates:
        columns = empty_candidates(signature, {*user, *context})
    request = Rank(*(typed_columns(values, signature) for values in (user, columns, context)))
    num_candidates = len(next(iter(columns.values())))
    ids = {name: list(values) for name, values in columns.items() if "id" in name}
    return {"candidate": list(range(num_candidates)), **ids, **_as_json(client.rank(request))}


def _predict_examples(client: Client, body: Any) -> Answer:
    return _as_json(client.predict_examples(PredictExamples(examples_of(body))))


def _classify(client: Client, body: Any) -> Answer:
    return [{label or "score": score for label, score in classes}
            for classes in client.classify(Classify(examples_of(body)))]


def _regress(client: Client, body: Any) -> Answer:
    return {"output": client.regress(Regress(examples_of(body))).tolist()}


def _embed(side: Literal["user", "item"]) -> Callable[[Client, Any], Answer]:
    def send(client: Client, body: Any) -> Answer:
        ids = typed_columns({f"{side}_id": body}, _signature(client, f"{side}_embedding"))[f"{side}_id"]
        return {f"{side}_id": body, "embedding": client.embed(Embed(side, ids)).tolist()}

    return send


def _status(client: Client, _: Any) -> Answer:
    return [dataclasses.asdict(version) for version in client.status()]


def _metadata(client: Client, _: Any) -> Answer:
    metadata = client.metadata()
    return {"version": metadata.version, "signatures": {
        name: {"method": signature.method, "inputs": _specs(signature.inputs), "outputs": _specs(signature.outputs)}
        for name, signature in metadata.public.items()}}


_EXAMPLES_BODY = 'a list of objects with raw values by feature, such as [{"user_id": 1, "item_id": 2}]'
VERBS = {
    "predict": Verb("the body of TF Serving's REST interface (inputs or instances), or a list of instances", _predict),
    "rank": Verb('{"user": {...}, "context": {...}, "candidates": [{"item_id": ..., ...}, ...]}', _rank),
    "predict_examples": Verb(_EXAMPLES_BODY, _predict_examples),
    "classify": Verb(_EXAMPLES_BODY, _classify),
    "regress": Verb(_EXAMPLES_BODY, _regress),
    "user_embedding": Verb("a list of ids", _embed("user")),
    "item_embedding": Verb("a list of ids", _embed("item")),
    "status": Verb("no body", _status),
    "metadata": Verb("no body", _metadata),
}
VERBS_WITHOUT_BODY = ("status", "metadata")


def _signature(client: Client, name: str) -> Signature:
    metadata = client.metadata()
    if name not in metadata.signatures:
        raise UserError(f"model {client.model.name!r} at {client.address} has no signature {name!r}, only "
                        f"{list(metadata.public)}")
    return metadata.signatures[name]


def _specs(tensors: Mapping[str, TensorSpec]) -> dict[str, str]:
    return {name: str(spec) for name, spec in sorted(tensors.items())}


def _as_json(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: values.tolist() for name, values in outputs.items()}
