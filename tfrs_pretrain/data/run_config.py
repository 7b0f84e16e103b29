"""The configuration of a run on a finished dataset."""

from __future__ import annotations

from collections.abc import Sequence

from tfrs_pretrain.artifact_names import DATASET_INFO
from tfrs_pretrain.config import Config, first_difference, parse_config
from tfrs_pretrain.config.packaged import stored_configuration
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError


def stored_config(dataset: Dataset, overrides: Sequence[str] = ()) -> Config:
    """Returns the configuration that a dataset was built with, with ``a.b=c`` overrides."""
    with stored_configuration():
        return parse_config(dataset.info["config"], overrides, origin=f"{dataset.folder}/{DATASET_INFO}")


def check_config(config: Config, dataset: Dataset) -> None:
    """Checks that a dataset was built with the columns and windows of a configuration.

    Raises:
      UserError: it was not; the message names the first difference.
    """
    # Parsed again: keys added since the dataset was built get their defaults and are no difference.
    sections = {"schema": dataset.schema.model_dump(mode="json"), "windows": dataset.windows.model_dump(mode="json")}
    for section, built in sections.items():
        difference = first_difference(built, config.resolved()[section], section)
        if difference:
            raise UserError(f"dataset {str(dataset.folder)!r} was built with another configuration, first in "
                            f"{difference}: rebuild it with this configuration, or omit --config")
