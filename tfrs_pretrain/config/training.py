"""Devices, reproducibility and checkpoints of both stages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrs_pretrain.strict_model import StrictModel

PlacementName = Literal["replicated", "sharded", "host", "auto"]


class TrainingConfig(StrictModel):
    """Devices, reproducibility and checkpoints of both stages."""

    strategy: Literal["auto", "one_device", "mirrored", "multi_worker"] = Field(
        "auto", description="auto: a replica on each GPU of this machine; multi_worker: on the machines of TF_CONFIG")
    logical_cpus: int = Field(1, ge=1, description="devices to split the CPU into, to try replicas without GPUs")
    deterministic: bool = Field(True, description="identical results from the same seed on one device")
    checkpoint_every_steps: int | None = Field(
        None, ge=1, description="steps between checkpoints, in addition to one after each epoch (null: none)")
    checkpoint_every_seconds: float | None = Field(
        600, gt=0, description="seconds between checkpoints within an epoch (null: none)")
    keep_checkpoints: int = Field(2, ge=1, description="number of the newest checkpoints to keep while training")
    tensorboard: str | None = Field(None, description="folder for TensorBoard's event files (null: none, but on "
                                                "Vertex AI that of AIP_TENSORBOARD_LOG_DIR)")

    placement: PlacementName | dict[str, PlacementName] = Field("replicated", description=(
        "of the rows of all tables, or table -> placement; replicated: a copy on each replica; sharded: dealt over the "
        "replicas; host: in host memory; auto: sharded where copies do not fit, host where shards do not fit"))

    @model_validator(mode="after")
    def _shards_are_on_one_machine(self) -> TrainingConfig:
        if self.strategy == "multi_worker" and "sharded" in self.named_placements:
            raise ValueError("placement 'sharded' deals rows over the devices of one machine, but strategy is "
                             "'multi_worker': set placement to replicated or auto, or strategy to mirrored")
        return self

    @model_validator(mode="after")
    def _strategy_uses_the_cpus(self) -> TrainingConfig:
        if self.logical_cpus > 1 and self.strategy in ("one_device", "multi_worker"):
            raise ValueError(f"strategy {self.strategy!r} uses one CPU per process, not logical_cpus "
                             f"{self.logical_cpus}: set logical_cpus to 1, or strategy to mirrored")
        return self

    @property
    def named_placements(self) -> frozenset[str]:
        """The placements of this configuration."""
        return frozenset(self.placement.values() if isinstance(self.placement, dict) else [self.placement])

    def placement_of(self, table: str) -> PlacementName:
        """The placement of a table; tables that a mapping leaves out are replicated."""
        return self.placement.get(table, "replicated") if isinstance(self.placement, dict) else self.placement
