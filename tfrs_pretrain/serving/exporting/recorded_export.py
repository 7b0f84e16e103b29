"""An export whose version number is recorded in a folder of the run, so that the run exports once."""

from __future__ import annotations

from pathlib import Path

from tfrs_pretrain.artifact_names import EXPORT_KIND, MANIFEST
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import Config
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.output_folders import staged_folder
from tfrs_pretrain.serving.exporting.export import export
from tfrs_pretrain.serving.signing import Signer


def export_and_record(config: Config, dataset: Dataset, ranker: Path, record: Path, models: Path,
                      signer: Signer | None = None) -> Path:
    """Exports a version and records which one it is. Returns its folder.

    Args:
      config: see ``export``.
      dataset: see ``export``.
      ranker: see ``export``.
      record: folder of the record; replaced.
      models: folder of model folders.
      signer: signs the version; None leaves it unsigned.

    Raises:
      UserError: see ``export``.
    """
    exported = export(config, dataset, ranker, models, signer=signer)
    with staged_folder(record, overwrite=True) as folder:
        write_manifest(folder, EXPORT_KIND, exported.to_json())
    return exported.path


def recorded_version(record: Path, models: Path) -> Path | None:
    """Returns the folder of the recorded version; None without a record, or if the version is no longer in ``models``.

    Args:
      record: folder of the record.
      models: folder of model folders.
    """
    if not (record / MANIFEST).is_file():
        return None
    version = Path(read_manifest(record, EXPORT_KIND)["path"])
    return version if version.is_dir() and version.parent.parent.resolve() == models.resolve() else None
