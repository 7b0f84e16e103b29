"""REST client."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
from google.protobuf import json_format

from tfrs_pretrain.serving.client.client import Classes, Client
from tfrs_pretrain.serving.client.errors import RequestError, code_of_status
from tfrs_pretrain.serving.client.request_types import Classify, Model, Predict, Regress
from tfrs_pretrain.serving.client.response_types import Metadata, VersionStatus
from tfrs_pretrain.serving.client.retries import RetryPolicy
from tfrs_pretrain.serving.protocol.messages import SignatureDefMap


class RestClient(Client):
    """REST client; not thread-safe. See ``Client``.

    Args:
      address: ``host:port``, or a URL if the server is behind another scheme or path.
      model: name of the model, and its version or label.
      timeout: seconds for a request, including retries.
      retries: when to send a failed request again.
    """

    def __init__(self, address: str, model: Model, *, timeout: float = 5.0, retries: RetryPolicy | None = None):
        super().__init__(address, model, timeout=timeout, retries=retries)
        base = address if "://" in address else f"http://{address}"
        part = (f"/versions/{model.version}" if model.version is not None
                else f"/labels/{quote(model.label, safe='')}" if model.label is not None else "")
        self._url = f"{base.rstrip('/')}/v1/models/{quote(model.name, safe='')}{part}"
        self._session = requests.Session()
        self._outputs: dict[str, list[str]] = {}

    def predict(self, request: Predict) -> dict[str, np.ndarray]:
        inputs = {name: to_json(values) for name, values in request.tensors().items()}
        outputs = self._post("predict", {"signature_name": request.signature, "inputs": inputs})["outputs"]
        if not isinstance(outputs, dict):  # the server leaves out the name of a single output
            outputs = {self._only_output(request.signature): outputs}
        return {name: from_json(values) for name, values in outputs.items()}

    def classify(self, request: Classify) -> Classes:
        response = self._post("classify", _examples(request))
        return [[(str(label), float(score)) for label, score in classes] for classes in response["results"]]

    def regress(self, request: Regress) -> np.ndarray:
        return np.array(self._post("regress", _examples(request))["results"], np.float32)

    def status(self) -> list[VersionStatus]:
        response = self._call("GET", self._url)
        return [VersionStatus(int(version["version"]), version["state"], version["status"].get("error_message", ""))
                for version in response["model_version_status"]]

    def metadata(self) -> Metadata:
        response = self._call("GET", f"{self._url}/metadata")
        packed = {name: value for name, value in response["metadata"]["signature_def"].items() if name != "@type"}
        # A server may know fields that this client's messages lack.
        signatures = json_format.ParseDict(packed, SignatureDefMap(), ignore_unknown_fields=True)
        return Metadata.from_messages(int(response["model_spec"]["version"]), signatures.signature_def)

    def close(self) -> None:
        self._session.close()

    def _only_output(self, signature: str) -> str:
        if signature not in self._outputs:
            self._outputs[signature] = list(self.metadata().signatures[signature].outputs)
        return self._outputs[signature][0]

    def _post(self, verb: str, body: Any) -> Any:
        # The server reads and writes NaN and Infinity without quotes, as Python does.
        return self._call("POST", f"{self._url}:{verb}", json.dumps(body).encode())

    def _call(self, method: str, url: str, body: bytes | None = None) -> Any:
        return self.retries.run(lambda seconds: self._attempt(method, url, body, seconds), self.timeout)

    def _attempt(self, method: str, url: str, body: bytes | None, seconds: float) -> Any:
        try:
            response = self._session.request(method, url, data=body, timeout=seconds)
            content = response.json()
        except requests.Timeout as error:
            raise RequestError("DEADLINE_EXCEEDED", f"no answer within {seconds:.3g} s", self.address) from error
        except requests.JSONDecodeError as error:
            raise RequestError(code_of_status(response.status_code), response.text[:300], self.address) from error
        except requests.RequestException as error:
            raise RequestError("UNAVAILABLE", str(error), self.address) from error
        if response.status_code != requests.codes.ok:
            raise RequestError(code_of_status(response.status_code), str(content.get("error", content)), self.address)
        return content


def to_json(values: np.ndarray) -> Any:
    """Converts an array to nested lists; bytes that are not UTF-8 become ``{"b64": ...}``."""
    if values.dtype != object:
        return values.tolist()
    texts = np.empty(values.shape, object)
    texts.ravel()[:] = [_text(value) for value in values.flat]
    return texts.tolist()


def from_json(values: Any) -> np.ndarray:
    """Converts nested lists to an array of int64, float32 or strings (bytes)."""
    array = np.asarray(values)
    if array.dtype.kind == "U":
        return np.char.encode(array).astype(object)
    return array.astype(np.int64 if array.dtype.kind == "i" else np.float32)


def _text(value: str | bytes) -> Any:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _examples(request: Classify | Regress) -> dict[str, Any]:
    return {"signature_name": request.signature, "examples": [
        {name: _feature(value) for name, value in features.items() if value is not None}
        for features in request.examples]}


def _feature(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_feature(item) for item in value]
    return _text(value) if isinstance(value, str | bytes) else value
