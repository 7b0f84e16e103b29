"""The demo's own section of a configuration file, which no other command reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import Field, ValidationError

from tfrs_pretrain.config import Config, parse_config
from tfrs_pretrain.config.load import apply_override, read_yaml, validation_message
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.strict_model import StrictModel

SECTION = "completejourney"


class CompleteJourneyConfig(StrictModel):
    """How the demo turns the completejourney purchases and promotions into logs."""

    negatives_per_positive: int = Field(8, ge=1, description="promoted, not bought products per bought one")
    max_households: int | None = Field(None, ge=1, description="number of households to keep (null: all)")


def load_demo_config(source: str, overrides: Sequence[str] = ()) -> tuple[Config, CompleteJourneyConfig]:
    """Reads a configuration that may contain the section ``completejourney``, and splits that off.

    Raises:
      UserError: as ``load_config``.
    """
    tree = read_yaml(source)
    section = {SECTION: tree.pop(SECTION, None) or {}}
    own = [override for override in overrides if re.match(rf"{SECTION}\b", override)]
    for override in own:
        apply_override(section, override)
    config = parse_config(tree, [override for override in overrides if override not in own], origin=source)
    try:
        return config, CompleteJourneyConfig.model_validate(section[SECTION])
    except ValidationError as error:
        keys = f"the keys are {sorted(CompleteJourneyConfig.model_fields)}"
        where = f"configuration {source!r}: {SECTION}"
        raise UserError(validation_message(where, error, keys, section[SECTION])) from error
