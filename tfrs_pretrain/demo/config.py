"""The configuration section ``completejourney``, which only the demo's commands read."""

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
    """Settings of the logs that the demo derives from purchases and promotions."""

    negatives_per_positive: int = Field(8, ge=1, description="sampled non-bought products per bought product")
    max_households: int | None = Field(None, ge=1, description="max households (null: all)")


def load_demo_config(source: str, overrides: Sequence[str] = ()) -> tuple[Config, CompleteJourneyConfig]:
    """Reads a configuration and its optional section ``completejourney``.

    Raises:
      UserError: the file is invalid, see ``load_config``.
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
