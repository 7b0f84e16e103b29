"""A promoted version's label: checked before it is judged, moved after."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.labels.models_config import folder_of, model_entry, move_label
from tfrs_pretrain.serving.version_folder import read_version


@dataclasses.dataclass(frozen=True)
class LabelMove:
    """One exported version, and the label that it may get."""

    config: Path
    name: str
    version: int
    label: str

    @classmethod
    def of(cls, candidate: Path, config: Path, label: str) -> LabelMove:
        """Reads the version's manifest.

        Raises:
          UserError: the candidate is no exported version, or not one that the configuration's server would find.
        """
        manifest = read_version(candidate)
        found = cls(config, manifest["name"], manifest["version"], label)
        served = folder_of(model_entry(config, found.name), config)
        if (served / str(found.version)).resolve() != candidate.resolve():
            raise UserError(f"{str(candidate)!r} is not where {str(config)!r} has model {found.name!r}, "
                            f"{str(served)!r}: export it there, or name another --models-config")
        return found

    def move(self) -> str:
        """Points the label at the version; says from where."""
        before = move_label(self.config, self.name, self.label, self.version)
        since = "already there" if before == self.version else "new" if before is None else f"from version {before}"
        return f"{self.config}: label {self.label} of {self.name} names version {self.version} ({since})"
