"""What a running server reports about one model: available versions, and the version behind each label."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import GrpcClient, Model, RequestError
from tfrs_pretrain.serving.client.response_types import AVAILABLE

_PAUSE_SECONDS = 0.25


class ServedModel:
    """One model on a running server.

    Args:
      address: ``host:port`` of the gRPC interface.
      name: name of the model.
      wait_seconds: max time to wait for a state.
    """

    def __init__(self, address: str, name: str, wait_seconds: float):
        self.address, self.name, self._wait_seconds = address, name, wait_seconds

    def wait_until_available(self, version: int) -> None:
        """Waits until a version is loaded.

        Raises:
          UserError: it is not loaded in time; the message contains its state and the server's error.
        """
        def problem() -> str:
            with self._client() as client:
                states = {status.version: status for status in client.status()}
            if version not in states:
                return f"it reports versions {sorted(states)}"
            status = states[version]
            return "" if status.state == AVAILABLE else f"its state is {status.state} {status.error}".strip()

        self._wait(problem, f"has not loaded version {version} of model {self.name!r}")

    def wait_until_labels(self, labels: Mapping[str, int]) -> None:
        """Waits until each label is answered by its version.

        Args:
          labels: label -> version.

        Raises:
          UserError: a label is answered by another version, or not at all.
        """
        def problem() -> str:
            for label, version in sorted(labels.items()):
                with self._client(label) as client:
                    received = client.metadata().version
                if received != version:
                    return f"label {label!r} is answered by version {received} instead of {version}"
            return ""

        self._wait(problem, f"has not applied the labels of model {self.name!r} in models.config")

    def _client(self, label: str | None = None) -> GrpcClient:
        return GrpcClient(self.address, Model(self.name, label=label))

    def _wait(self, problem: Callable[[], str], what: str) -> None:
        """Calls ``problem`` until it returns an empty text."""
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                found = problem()
            except RequestError as error:
                found = str(error)
            if not found:
                return
            if time.monotonic() >= deadline:
                raise UserError(f"server {self.address} {what} after {self._wait_seconds:g} s ({found}): read the "
                                "server's log; it refuses a file in which an existing label names a version that is "
                                "not loaded")
            time.sleep(_PAUSE_SECONDS)
