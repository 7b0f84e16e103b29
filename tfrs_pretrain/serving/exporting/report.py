"""Report of an export: what was exported, from what, and the results of its checks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tfrs_pretrain.serving.exporting.memory import MemoryNeed
from tfrs_pretrain.serving.exporting.quantization import QuantizationCost
from tfrs_pretrain.serving.graph.signatures import SavedModelContents

# Fields of ExportReport that JSON contains under their names
PLAIN = ("name", "arm", "ranker", "ranker_digest", "dataset_digest", "vocabularies", "windows", "config")


@dataclasses.dataclass(frozen=True)
class SignatureCheck:
    """Comparison of one signature's answers with the trained model.

    Attributes:
      requests: number of golden requests.
      rows: total number of rows of their answers.
      largest_difference: largest absolute difference of any output.
    """

    requests: int = 0
    rows: int = 0
    largest_difference: float = 0.0

    def with_request(self, num_rows: int, difference: float) -> SignatureCheck:
        """Returns the comparison extended by one request."""
        return SignatureCheck(self.requests + 1, self.rows + num_rows, max(self.largest_difference, difference))


@dataclasses.dataclass(frozen=True)
class GoldenCheck:
    """Comparison of all signatures with the trained model.

    Attributes:
      impressions: number of golden impressions.
      tolerance: max allowed difference.
      signatures: result by signature.
    """

    impressions: int
    tolerance: float
    signatures: dict[str, SignatureCheck]

    @property
    def largest_difference(self) -> float:
        """Largest absolute difference of any output of any signature."""
        return max(check.largest_difference for check in self.signatures.values())

    @property
    def requests(self) -> int:
        """Number of golden requests to all signatures."""
        return sum(check.requests for check in self.signatures.values())

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> GoldenCheck:
        """Reads what ``to_json`` returned."""
        signatures = {name: SignatureCheck(**check) for name, check in content["signatures"].items()}
        return cls(content["impressions"], content["tolerance"], signatures)

    def to_json(self) -> dict[str, Any]:
        """Returns JSON."""
        return dataclasses.asdict(self) | {"largest_difference": self.largest_difference}


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """Report of an export.

    Attributes:
      name: name of the model.
      arm: arm of the ranker.
      ranker: folder of the ranker artifact.
      ranker_digest: digest of the ranker's manifest.
      dataset_digest: digest of the dataset's info.
      vocabularies: vocabulary -> digest.
      windows: time windows of the dataset, as JSON.
      config: resolved configuration, as JSON.
      contents: inputs, outputs, signatures and tables of the SavedModel.
      table_cost: cost of quantized tables; None: tables are served as trained.
      operations: names of the graph's operations.
      num_bytes: size of the version on disk.
      memory: memory that a server needs.
      check: comparison with the trained model.
      live: version before any update, digest of the secret, spare places; None: no live updates.
    """

    name: str
    arm: str
    ranker: str
    ranker_digest: str
    dataset_digest: str
    vocabularies: dict[str, str]
    windows: dict[str, Any]
    config: dict[str, Any]
    contents: SavedModelContents
    table_cost: QuantizationCost | None
    operations: list[str]
    num_bytes: int
    memory: MemoryNeed
    check: GoldenCheck
    live: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ExportReport:
        """Reads what ``to_json`` returned, or a version's manifest."""
        cost = content["table_cost"]
        return cls(**{name: content[name] for name in (*PLAIN, "operations")}, num_bytes=content["bytes"],
                   contents=SavedModelContents.from_json(content), memory=MemoryNeed(**content["memory"]),
                   table_cost=cost and QuantizationCost.from_json(cost), check=GoldenCheck.from_json(content["check"]),
                   live=content.get("live"))

    def to_json(self) -> dict[str, Any]:
        """Returns JSON, the content of the version's manifest without its number."""
        return {**{name: getattr(self, name) for name in PLAIN}, **self.contents.to_json(),
                "table_cost": self.table_cost and self.table_cost.to_json(), "operations": self.operations,
                "bytes": self.num_bytes, "memory": dataclasses.asdict(self.memory), "check": self.check.to_json(),
                **({"live": self.live} if self.live else {})}

    def summary(self) -> list[str]:
        """Returns the results of the checks as sentences, for the console and the model card."""
        check, signatures = self.check, self.check.signatures
        return [f"Checked in the session loader: {check.requests} golden requests to {len(signatures)} signatures "
                f"({', '.join(signatures)}); largest difference to the trained model {check.largest_difference:.1e}, "
                f"allowed {check.tolerance:g}.",
                "Tables are served as trained." if self.table_cost is None else self.table_cost.sentence(),
                f"Size: {self.num_bytes / 1e6:,.1f} MB on disk; {self.memory.sentence()}", *self._live_updates()]

    def _live_updates(self) -> list[str]:
        if not self.live:
            return []
        places = ", ".join(f"{name} {count:,}" for name, count in self.live["spare"].items())
        return [f"Live updates: spare places for {places} rows take {self.live['spare_bytes'] / 1e6:,.1f} MB of it."]


@dataclasses.dataclass(frozen=True)
class ExportedVersion:
    """A version that TensorFlow Serving can load.

    Attributes:
      path: its folder, ``models/<name>/<version>``.
      version: its number.
      report: what was exported, and the results of the checks.
    """

    path: Path
    version: int
    report: ExportReport

    def to_json(self) -> dict[str, Any]:
        """Returns JSON, the content of the version's manifest with its path."""
        return self.report.to_json() | {"version": self.version, "path": str(self.path)}
