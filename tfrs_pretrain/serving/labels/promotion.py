"""Labelling of a promoted version: the label is checked before the gate runs, and moved after it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry
from tfrs_pretrain.serving.labels.rollout import Rollout
from tfrs_pretrain.serving.labels.served_model import ServedModel
from tfrs_pretrain.serving.version_folder import read_version


@dataclasses.dataclass(frozen=True)
class LabelMove:
    """A planned move of a label to an exported version.

    Attributes:
      config: the models.config.
      name: name of the model.
      version: number of the version.
      label: the label.
    """

    config: Path
    name: str
    version: int
    label: str

    @classmethod
    def plan(cls, candidate: Path, config: Path, label: str) -> LabelMove:
        """Plans a move and checks that it is possible.

        Args:
          candidate: folder of the exported version.
          config: the models.config.
          label: the label.

        Raises:
          UserError: the candidate is no exported version, or is outside the folder of its model in the models.config.
        """
        manifest = read_version(candidate)
        move = cls(config, manifest["name"], manifest["version"], label)
        served = folder_of(model_entry(config, move.name), config)
        if (served / str(move.version)).resolve() != candidate.resolve():
            raise UserError(f"{str(candidate)!r} is not in the folder that {str(config)!r} names for model "
                            f"{move.name!r}, {str(served)!r}: export it there, or pass another --models-config")
        return move

    def execute(self, server: ServedModel | None = None) -> str:
        """Moves the label, in two steps if the version has to be loaded first, and returns what happened.

        Args:
          server: the running server, which must apply each step; None: its state is unknown.

        Raises:
          UserError: see ``Rollout.run``.
        """
        return Rollout(self.config, self.name, self.label, self.version, server).run()
