"""Early stopping: the weights of the best epoch are stored on disk until training ends.

::

    <output>.best/epoch-0003/<number>.npy   tables and dense weights of the ranker
    <output>.best/epoch-0003/manifest.json  written last

Early stopping on a held-out set, after Prechelt, "Early Stopping - But When?" (Neural Networks: Tricks of the Trade,
1998): training ends after ``patience`` epochs in a row without a new best, and the best epoch's weights are the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrs_pretrain.array_files import write_array
from tfrs_pretrain.artifact_names import BEST_EPOCH_KIND
from tfrs_pretrain.artifacts import read_manifest, write_manifest
from tfrs_pretrain.config import EarlyStoppingConfig
from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.replicas import local_copy
from tfrs_pretrain.embeddings.worker_shards import answered_reads
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.file_digests import checked_file
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER
from tfrs_pretrain.output_folders import remove_folder, staged_folder
from tfrs_pretrain.ranking.model.ranker import Ranker


def best_folder(output: Path) -> Path:
    """Return the folder for the best epoch of the run that writes ``output``."""
    return output.with_name(f"{output.name}.best")


class BestCheckpoint(tf.Module):
    """The best epoch so far. Create it inside the strategy's scope; call it outside of replicas.

    Args:
      folder: for the best epoch's weights, see ``best_folder``.
      ranker: the model whose weights are stored and restored.
      config: the metric, and the patience.
      writes: whether this process writes; exactly one of several workers does.
    """

    def __init__(self, folder: Path, ranker: Ranker, config: EarlyStoppingConfig, *, writes: bool = True):
        super().__init__(name="best_checkpoint")
        self._folder, self._config, self._writes = folder, config, writes
        self._weights = [*(table.placed_variables[0] for table in ranker.tables.values()),
                         *(PlacedVariable(variable.value) for variable in ranker.network.variables)]
        self._table_files = {f"{number:03d}.npy": name for number, name in enumerate(ranker.tables)}
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64, name="best_epoch")
        self._value = tf.Variable(0.0, trainable=False, dtype=tf.float64, name="best_value")

    @property
    def state(self) -> tuple[tf.Variable, ...]:
        """Variables that a resumed run needs in addition to the files."""
        return self._epoch, self._value

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch so far; 0 before the first."""
        return int(local_copy(self._epoch).numpy())

    def update(self, epoch: int, metrics: Mapping[str, float | None]) -> None:
        """Store the current weights if the epoch's validation metrics are the best so far.

        Args:
          epoch: its number, from 1.
          metrics: name -> value on the validation impressions; None where undefined.

        Raises:
          UserError: the configured metric is undefined on these impressions.
        """
        value = metrics[self._config.metric]
        if value is None:
            raise UserError(f"early_stopping.metric {self._config.metric!r} is undefined on the validation impressions "
                            "(it needs both clicked and unclicked ones): choose log_loss, or a longer validation "
                            "window")
        best = float(local_copy(self._value).numpy())
        better = value < best if self._config.metric in LOWER_IS_BETTER else value > best
        if self.best_epoch and not better:
            return
        with answered_reads(self._weights):
            self._save(epoch)
        self._epoch.assign(epoch)
        self._value.assign(value)

    def is_exhausted(self, epoch: int) -> bool:
        """Return whether the last ``patience`` epochs up to this one brought no new best."""
        return epoch - self.best_epoch >= self._config.patience

    def restore(self) -> None:
        """Assign the best epoch's weights to the ranker.

        Raises:
          UserError: a file is missing or damaged.
        """
        folder = self._path(self.best_epoch)
        manifest = read_manifest(folder, BEST_EPOCH_KIND)
        for number, variable in enumerate(self._weights):
            variable.assign(np.load(checked_file(folder, manifest, f"{number:03d}.npy"), mmap_mode="r"))

    def remove(self) -> None:
        """Delete the files, once the run has finished."""
        if self._writes:
            remove_folder(self._folder)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:04d}"

    def _save(self, epoch: int) -> None:
        if not self._writes:
            return
        with staged_folder(self._path(epoch), overwrite=True) as stage:
            for number, variable in enumerate(self._weights):
                write_array(stage / f"{number:03d}.npy", variable.shape, variable.dtype, variable.blocks())
            tables = {**self._table_files}  # tf.Module wraps dictionaries in a class that JSON does not know
            write_manifest(stage, BEST_EPOCH_KIND, {"epoch": epoch, "tables": tables})
        # The previous best is retained: a run killed before its next checkpoint resumes from before this epoch.
        for path in sorted(self._folder.glob("epoch-*")):
            if path not in (self._path(epoch), self._path(self.best_epoch)):
                remove_folder(path)


def make_best_checkpoint(folder: Path, ranker: Ranker, config: EarlyStoppingConfig | None, *,
                         writes: bool) -> BestCheckpoint | None:
    """Create the best checkpoint; None without early stopping."""
    return BestCheckpoint(folder, ranker, config, writes=writes) if config else None
