"""The state of a server whose model takes live updates, as a place in the chain of its version."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrs_pretrain.artifact_names import EXTRA_ASSETS
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Client, Predict, RequestError
from tfrs_pretrain.serving.deltas.chain import Chain
from tfrs_pretrain.serving.deltas.earlier_states import earlier_names
from tfrs_pretrain.serving.protocol.signature_names import DELTA_VERSION
from tfrs_pretrain.serving.version_folder import GOLDEN_LOGS


@dataclasses.dataclass(frozen=True)
class ServerState:
    """Answer of ``delta_version``.

    Attributes:
      version: version of the served rows and weights.
      epoch: number of visible updates since the model was loaded.
      old: number of places whose old rows are not erased yet.
    """

    version: str
    epoch: int
    old: int


def server_state(client: Client) -> ServerState:
    """Asks a server.

    Raises:
      UserError: the served model takes no live updates.
      RequestError: the server does not answer.
    """
    try:
        answer = client.predict(Predict({}, DELTA_VERSION))
    except RequestError as error:
        if error.code in ("FAILED_PRECONDITION", "INVALID_ARGUMENT"):
            raise UserError(f"the server's model takes no live updates ({error}): load a version exported with "
                            "export.live_updates=true") from error
        raise
    old = sum(int(count) for name, count in answer.items() if name.startswith("old_"))
    return ServerState(str(answer["version"].item().decode()), int(answer["epoch"]), old)


def num_applied(chain: Chain, version: str) -> int:
    """Returns the number of deltas that a server has applied as a whole, perhaps before ids were forgotten.

    Args:
      chain: chain of the loaded version, which takes live updates.
      version: what the server's ``delta_version`` returned.

    Raises:
      UserError: the version is not part of the chain, or contains forgotten ids.
    """
    versions = state_names(chain)
    name, _, part = version.partition("#")
    for earlier in earlier_names(chain):
        if earlier.name == name and name not in versions:
            if earlier.is_equal and not part:
                return earlier.number
            raise UserError(f"the server has a state of version {str(chain.base)!r} with ids that were forgotten "
                            "since: restart it, or let it unload and load the version, then push again; or "
                            "`tfrs-pretrain compact` the version and promote the result")
    if name not in versions:
        raise UserError(f"the server has version {version[:12]} of another chain than {str(chain.base)!r}: load that "
                        "version, or restart the server to begin with the base")
    return versions.index(name) - bool(part)


def state_names(chain: Chain) -> list[str]:
    """Returns the version of a server that has loaded the chain's base, and the one after each delta."""
    return [chain.manifest["live"]["token"], *(delta.digest for delta in chain.deltas)]


def golden_logs(chain: Chain, number: int) -> Path:
    """Returns the golden requests after a number of deltas."""
    folder = chain.deltas[number - 1].folder if number else chain.base / EXTRA_ASSETS
    return folder / GOLDEN_LOGS
