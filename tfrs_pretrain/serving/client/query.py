"""``tfrs-pretrain query``: JSON in, a server's answer out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.client import Client
from tfrs_pretrain.serving.client.grpc_client import GrpcClient
from tfrs_pretrain.serving.client.request_types import Classify, Embed, Model, Predict, PredictExamples, Rank, Regress
from tfrs_pretrain.serving.client.response_types import Signature
from tfrs_pretrain.serving.client.rest_client import RestClient

Answer = Any


class Verb(NamedTuple):
    """What can be asked: the form of its JSON, and the request."""

    form: str
    ask: Callable[[Client, Any], Answer]


def query_server(address: str, model: str, verb: str, request: Path, *, rest: bool, version: int | None,
                 label: str | None, timeout: float) -> Answer:
    """The answer of the server at ``host:port`` to the request in a file, ``-`` for standard input.

    Raises:
      UserError: there is no such verb, the file holds no JSON, or as ``query``.
    """
    if verb not in VERBS:
        raise UserError(f"there is no request {verb!r}: choose from {', '.join(VERBS)}")
    with (RestClient if rest else GrpcClient)(address, Model(model, version, label), timeout=timeout) as client:
        return query(client, verb, None if verb in BODILESS else _read(request))


def query(client: Client, verb: str, body: Any) -> Answer:
    """The answer as plain JSON.

    Args:
      client: of the model.
      verb: one of ``VERBS``.
      body: parsed JSON in the verb's form; None for verbs that take nothing.

    Raises:
      UserError: the body has another form, or the server refuses.
    """
    try:
        return VERBS[verb].ask(client, body)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"request of {verb} has another form ({type(error).__name__}: {error}): expected "
                        f"{VERBS[verb].form}") from error


def show(verb: str, answer: Answer, console: Console) -> None:
    """The answer as a table; candidates by descending score."""
    if verb == "metadata":
        table = Table("signature", "input or output", "dtype and shape", title=f"version {answer['version']}",
                      title_justify="left")
        for name, signature in answer["signatures"].items():
            for side in ("inputs", "outputs"):
                for tensor, spec in signature[side].items():
                    table.add_row(name, Text(f"{tensor} ({side[:-1]})"), Text(spec))
    else:
        rows = answer if isinstance(answer, list) else [
            dict(zip(answer, row, strict=True)) for row in zip(*answer.values(), strict=True)]
        if verb == "rank":
            rows.sort(key=lambda row: -next(value for name, value in row.items() if name == "score"))
        table = Table(*(rows[0] if rows else ["nothing"]))
        for row in rows:
            table.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(table)


def _read(path: Path) -> Any:
    try:
        return json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"request {str(path)!r} is no readable JSON ({error})") from error


def _predict(client: Client, body: Any) -> Answer:
    named = body if isinstance(body, dict) and {"inputs", "instances"} & body.keys() else {"instances": body}
    columns = named["inputs"] if "inputs" in named else _columns(named["instances"])
    signature = named.get("signature_name", "serving_default")
    return _plain(client.predict(Predict(_typed(columns, _signature(client, signature)), signature)))


def _rank(client: Client, body: Any) -> Answer:
    candidates, specs = body["candidates"], _signature(client, Rank.signature)
    user, context = body.get("user", {}), body.get("context", {})
    columns = _columns(candidates) if isinstance(candidates, list) else candidates
    if not candidates:
        columns = {name: np.empty([size or 0 for size in spec.shape], spec.dtype if spec.dtype != "string" else object)
                   for name, spec in specs.inputs.items() if name not in user and name not in context}
    request = Rank(_typed(user, specs), _typed(columns, specs), _typed(context, specs))
    count = len(next(iter(columns.values())))
    return {"candidate": list(range(count)), **{name: list(values) for name, values in columns.items() if "id" in name},
            **_plain(client.rank(request))}


def _classify(client: Client, body: Any) -> Answer:
    return [{label or "score": score for label, score in row} for row in client.classify(Classify(_rows(body)))]


def _embed(side: Any) -> Callable[[Client, Any], Answer]:
    def ask(client: Client, body: Any) -> Answer:
        ids = _typed({f"{side}_id": body}, _signature(client, f"{side}_embedding"))[f"{side}_id"]
        return {f"{side}_id": body, "embedding": client.embed(Embed(side, ids)).tolist()}

    return ask


def _status(client: Client, _: Any) -> Answer:
    return [dataclasses.asdict(each) for each in client.status()]


def _metadata(client: Client, _: Any) -> Answer:
    found = client.metadata()
    return {"version": found.version, "signatures": {
        name: {"method": of.method, "inputs": {key: str(spec) for key, spec in sorted(of.inputs.items())},
               "outputs": {key: str(spec) for key, spec in sorted(of.outputs.items())}}
        for name, of in sorted(found.signatures.items()) if not name.startswith("__")}}


_EXAMPLES = 'a list of objects with raw values by feature, such as [{"user_id": 1, "item_id": 2}]'
VERBS = {
    "predict": Verb("the body of TF Serving's REST interface (inputs or instances), or a list of instances", _predict),
    "rank": Verb('{"user": {...}, "context": {...}, "candidates": [{"item_id": ..., ...}, ...]}', _rank),
    "predict_examples": Verb(_EXAMPLES, lambda client, body: _plain(
        client.predict_examples(PredictExamples(_rows(body))))),
    "classify": Verb(_EXAMPLES, _classify),
    "regress": Verb(_EXAMPLES, lambda client, body: {"output": client.regress(Regress(_rows(body))).tolist()}),
    "user_embedding": Verb("a list of ids", _embed("user")),
    "item_embedding": Verb("a list of ids", _embed("item")),
    "status": Verb("nothing", _status),
    "metadata": Verb("nothing", _metadata),
}
BODILESS = ("status", "metadata")


def _signature(client: Client, name: str) -> Signature:
    signatures = client.metadata().signatures
    if name not in signatures:
        raise UserError(f"model {client.model.name!r} at {client.address} has no signature {name!r}, only "
                        f"{sorted(each for each in signatures if not each.startswith('__'))}")
    return signatures[name]


def _typed(columns: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Values in the dtypes of the signature: JSON's 1 may be meant as a number with a fraction."""
    return {name: _numbers(name, values, signature.inputs[name].dtype)
            if name in signature.inputs and signature.inputs[name].dtype != "string" else values
            for name, values in columns.items()}


def _numbers(name: str, values: Any, dtype: str) -> np.ndarray:
    """The array, unless that would read texts as numbers, cut off fractions or make a number infinite."""
    array = np.array(values)
    with contextlib.suppress(FloatingPointError), np.errstate(over="raise"):
        if not array.size or array.dtype.kind in ("i" if dtype == "int64" else "iufO"):  # O: with null, for missing
            return array.astype(dtype)
    raise UserError(f"input {name!r} takes {dtype}, got {str(values)[:100]}")


def _columns(rows: Any) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _rows(body: Any) -> Any:
    rows = body["examples"] if isinstance(body, dict) else body
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError("no list of objects")
    return rows


def _plain(outputs: Mapping[str, np.ndarray]) -> Answer:
    return {name: values.tolist() for name, values in outputs.items()}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, list):
        return "[" + ", ".join(f"{each:.4f}" for each in value[:6]) + (", …]" if len(value) > 6 else "]")
    return str(value)
