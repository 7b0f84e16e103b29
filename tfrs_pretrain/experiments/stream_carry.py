"""How an arm is carried from one window of a stream to the next."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError

from tfrs_pretrain.config.arms import ArmConfig
from tfrs_pretrain.config.load import validation_message
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.arm_configs import STREAM_PREFIX
from tfrs_pretrain.experiments.definition import Settings
from tfrs_pretrain.strict_model import StrictModel


class Carry(StrictModel):
    """Keys below ``stream.`` of an arm's settings.

    Without them, the ranker of each window starts from that of the window before, and Stage I is trained once.
    """

    sliding_windows: int | None = Field(
        None, ge=1, description="train from scratch on so many windows, the last ones (null: start from the ranker of "
                                "the window before)")
    refresh_every: int | None = Field(
        None, ge=1, description="give the ranker the rows of Stage I, trained on in the meantime, every so many "
                                "windows (null: only in the first)")
    refresh_epochs: int = Field(1, ge=1, description="passes of Stage I over the engagements of one window, after the "
                                                     "first training")

    @classmethod
    def from_settings(cls, settings: Settings, where: str) -> Carry:
        """Read the keys below ``stream.``.

        Raises:
          UserError: a key is unknown or a value is out of range.
        """
        tree: dict[str, Any] = {key.removeprefix(STREAM_PREFIX): value for key, value in settings.items()
                                if key.startswith(STREAM_PREFIX)}
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise UserError(validation_message(where, error, "docs/streams.md shows them", tree)) from error

    def last_refresh(self, number: int) -> int:
        """Return the number of the last window, up to this one, at which the ranker gets rows of Stage I."""
        return 1 + (number - 1) // self.refresh_every * self.refresh_every if self.refresh_every else 1

    def check(self, arm: ArmConfig, where: str) -> None:
        """Check that an arm can be carried this way.

        Raises:
          UserError: it cannot.
        """
        if self.sliding_windows and (arm.pretrained_tables or self.refresh_every):
            raise UserError(f"{where}: stream.sliding_windows trains from scratch, on windows that Stage I has seen: "
                            "use it without pretrained rows")
        if self.refresh_every and not arm.pretrained_tables:
            raise UserError(f"{where}: stream.refresh_every needs pretrained rows: set arm.transfer, or remove it")
        if arm.meda and not self.sliding_windows:
            raise UserError(f"{where}: meda replaces the tables in each epoch, so nothing would be carried: set "
                            "stream.sliding_windows, or remove meda")
        if arm.early_stopping:
            raise UserError(f"{where}: early_stopping would read the judged window, which takes the place of "
                            "validation: choose arm.epochs on the choosing windows instead")
        if arm.distillation:
            raise UserError(f"{where}: distillation is not carried over windows: remove it")
