"""Candidates of a race: a built-in list of changes to a configuration, or those of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tfrs_pretrain.config import Config
from tfrs_pretrain.config.load import read_yaml, validation_message
from tfrs_pretrain.config.objectives import SoftmaxObjective
from tfrs_pretrain.config.transfer import TrainablePretrainedTransfer, WarmStartTransfer
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.names import FolderName
from tfrs_pretrain.strict_model import StrictModel

Settings = dict[str, Any]
DEFAULT = "default"  # the candidate without changes
TEMPERATURES = (0.2, 0.1, 0.05)
NEARLY_EQUAL = 0.8, 1.25  # ratios between which another temperature is not worth a run
WARM_START: Settings = {"arm.transfer": "warm_start"}


class CandidateFile(StrictModel):
    """Settings to race against the configuration as it is."""

    candidates: dict[FolderName, Settings] = Field(
        min_length=1, description="name -> key -> value; keys are dotted, those below `arm.` belong to the arm that is "
                                  "tuned. The candidates are tried in this order")
    builtin: bool = Field(False, description="race the built-in candidates too, after these")


def load_candidates(path: Path, config: Config, arm: str) -> dict[str, Settings]:
    """Read a file of candidates.

    Returns:
      name -> settings, the built-in ones last if the file asks for them.

    Raises:
      UserError: the file is missing or not YAML, a key is unknown, or a candidate has the name of the default.
    """
    tree = read_yaml(str(path), "candidates")
    try:
        file = CandidateFile.model_validate(tree)
    except ValidationError as error:
        raise UserError(validation_message(f"candidates {str(path)!r}", error, "the keys are candidates and builtin",
                                           tree)) from error
    if DEFAULT in file.candidates:
        raise UserError(f"candidates {str(path)!r}: {DEFAULT!r} is the configuration without changes, which always "
                        "takes part: choose another name")
    more = builtin_candidates(config, arm) if file.builtin else {}
    return file.candidates | {name: settings for name, settings in more.items() if name not in file.candidates}


def builtin_candidates(config: Config, arm: str) -> dict[str, Settings]:
    """Return changes that helped on some logs, the most promising first: name -> settings.

    Some may equal the configuration. Changes of transfer need no Stage I of their own. The number of epochs is varied
    only where ``pretraining.epochs`` is set.
    """
    settings = config.ranking.arms[arm]
    trainable = isinstance(settings.transfer, TrainablePretrainedTransfer)
    transfer = settings.transfer if isinstance(settings.transfer, TrainablePretrainedTransfer) else WarmStartTransfer()
    found: dict[str, Settings] = {"scratch": {"arm.transfer": "scratch", "arm.tables": {}, "arm.anchor": None}}
    if not trainable:
        found["warm_start"] = WARM_START
    prefix = {} if trainable else WARM_START
    changes = _transfer_changes(config, transfer.pretrained_learning_rate_scale)
    found |= {name: prefix | change for name, change in changes.items()}
    prefix = {} if settings.pretrained_tables else WARM_START
    found |= {name: prefix | change for name, change in _stage_one_changes(config)}
    if settings.distillation:
        found["no_distillation"] = {"arm.distillation": None}
    return {name: found[name] for name in sorted(found, key=_rank)}


def _transfer_changes(config: Config, scale: float) -> dict[str, Settings]:
    changes: dict[str, Settings] = {
        "full_rate": {"pretrained_learning_rate_scale": 1.0},
        **({"slower_rows": {"pretrained_learning_rate_scale": 0.1}} if scale > NEARLY_EQUAL[0] * 0.3 else
           {"faster_rows": {"pretrained_learning_rate_scale": 0.3}}),
        "by_evidence": {"shrinkage": 3.0, "evidence": 10.0, "cold_rows": "features"},
        "larger_rows": {"pretrained_rms": 0.3},
        "fresh_columns": {"fresh_dim": max(1, config.ranking.id_dim // 4)},
        "plain_transfer": {"pretrained_learning_rate_scale": 0.1, "shrinkage": None, "evidence": None,
                           "cold_rows": "random", "pretrained_rms": None, "fresh_dim": 0},
    }
    return {name: {f"arm.transfer.{key}": value for key, value in change.items()} for name, change in changes.items()}


def _stage_one_changes(config: Config) -> Iterator[tuple[str, Settings]]:
    stage = config.pretraining
    if isinstance(stage.objective, SoftmaxObjective):
        low, high = NEARLY_EQUAL
        for value in TEMPERATURES:
            if not low < value / stage.objective.temperature < high:
                yield f"temperature_{value:g}", {"pretraining.objective.temperature": value}
        prior = 0.0 if stage.objective.popularity_prior else 1.0
        yield f"popularity_prior_{prior:g}", {"pretraining.objective.popularity_prior": prior}
    if stage.epochs is not None:
        yield "twice_the_epochs", {"pretraining.epochs": 2 * stage.epochs}
        yield "half_the_epochs", {"pretraining.epochs": max(1, stage.epochs // 2)}
    for name, dim in (("half_the_columns", max(1, stage.dim // 2)), ("twice_the_columns", 2 * stage.dim)):
        yield name, {"pretraining.dim": dim, "ranking.id_dim": dim}


ORDER = ("scratch", "warm_start", "full_rate", "temperature_0.2", "by_evidence", "slower_rows", "faster_rows",
         "no_distillation", "larger_rows", "temperature_0.1", "fresh_columns", "twice_the_epochs", "half_the_epochs",
         "plain_transfer", "temperature_0.05", "half_the_columns", "popularity_prior_1", "popularity_prior_0",
         "twice_the_columns")


def _rank(name: str) -> int:
    return ORDER.index(name)
