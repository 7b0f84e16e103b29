"""Start of a ranker at the weights of an earlier one, such as last week's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from rich.text import Text

from tfrs_pretrain.config import ArmConfig
from tfrs_pretrain.data.dataset import Dataset
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.progress import console, print_warning
from tfrs_pretrain.ranking.model.artifact import load_ranker
from tfrs_pretrain.ranking.model.inputs import Inputs
from tfrs_pretrain.ranking.model.ranker import Ranker
from tfrs_pretrain.ranking.transfer.refreshed_rows import Refresh
from tfrs_pretrain.row_arrays import Rows
from tfrs_pretrain.vocabulary_changes import RowMap


@dataclasses.dataclass(frozen=True)
class EarlierRanker:
    """A trained ranker to start from.

    The rows of the ids that both datasets have, the shared rows and the dense weights are taken over. Ids that only the
    new dataset has start as the arm says, also where their row belonged to another id. The optimizers start without
    state, because the artifact has none.

    Attributes:
      folder: of its artifact.
      dataset: the dataset that it was trained on.
      ranker: the model.
      refresh: newer pretrained rows for it; None: its rows stay.
    """

    folder: Path
    dataset: Dataset
    ranker: Ranker
    refresh: Refresh | None = None

    @classmethod
    def open(cls, folder: Path, dataset: Dataset, refresh: Refresh | None = None) -> EarlierRanker:
        """Load a ranker and the dataset that it was trained on.

        Raises:
          UserError: the artifact is unreadable, or was trained with other vocabularies than the dataset's.
        """
        return cls(folder, dataset, load_ranker(folder, dataset), refresh)

    def check(self, arm: ArmConfig) -> None:
        """Check that an arm can start from a ranker.

        Raises:
          UserError: the arm replaces its tables in each epoch.
        """
        if arm.meda is not None:
            raise UserError("--start-from has no effect on an arm with meda, which replaces its tables in each epoch: "
                            "choose another arm, or omit --start-from")

    def start_tables(self, tables: dict[str, Rows], inputs: Inputs, dataset: Dataset, arm: ArmConfig,
                     factors: Mapping[str, float] | None = None) -> None:
        """Copy the rows of ids of both datasets into the initial tables.

        Args:
          tables: table -> float32 [num_rows, dim]; the entries are replaced.
          inputs: of the ranker to train.
          dataset: the dataset to train on.
          arm: tables that it leaves out remain zero.
          factors: table -> factor by which the arm scales its pretrained rows, if not 1.

        Raises:
          UserError: the earlier ranker has other inputs, or tables of another width or id type.
        """
        found, expected = _names(self.ranker.inputs), _names(inputs)
        if found != expected:
            raise self._other("list of inputs", found, expected)
        absent = {space for space in dataset.schema.id_spaces if arm.table_transfer(space).kind == "absent"}
        for name, vocabulary in inputs.tables.items():
            earlier, later = self.dataset.vocabulary(vocabulary), dataset.vocabulary(vocabulary)
            types = (self.ranker.tables[name].dim, earlier.dtype), (tables[name].shape[1], later.dtype)
            if types[0] != types[1]:
                raise self._other(f"table {name!r}", *types)
            if name in absent:
                continue
            row_map, fresh = RowMap.between(earlier, later), tables[name]
            tables[name] = row_map.copy(self.ranker.tables[name].numpy(), fresh)
            if self.refresh and name in arm.pretrained_tables:
                refreshed = np.array(tables[name])
                self.refresh.apply(refreshed, np.asarray(fresh), name, dataset, (factors or {}).get(name, 1.0))
                tables[name] = refreshed
            self._report(name, len(row_map.target), later.num_ids)

    def start_network(self, network: keras.Model) -> None:
        """Set the dense weights.

        Raises:
          UserError: the networks differ.
        """
        ours, theirs = ([(weight.path.rpartition("/")[2], tuple(weight.shape)) for weight in one.weights]
                        for one in (network, self.ranker.network))
        if ours != theirs:
            differing = next((pair for pair in zip(theirs, ours, strict=False) if pair[0] != pair[1]),
                             (f"{len(theirs)} weights", f"{len(ours)} weights"))
            raise self._other("network", *differing)
        network.set_weights(self.ranker.network.get_weights())

    def _report(self, name: str, num_started: int, num_ids: int) -> None:
        text = f"{name}: {num_started:,} of {num_ids:,} ids start from their rows in {self.folder}"
        console.print(Text(text, style="dim"), soft_wrap=True)
        if num_ids and not num_started:
            print_warning(f"no {name} id of this dataset has a row in {self.folder}: compare the ids of both datasets")

    def _other(self, what: str, found: object, expected: object) -> UserError:
        return UserError(f"ranker {str(self.folder)!r} has another {what} ({found}) than this configuration "
                         f"({expected}): start from a ranker of the same schema and ranking section")


def _names(inputs: Inputs) -> list[str]:
    """Inputs of a network, in the order in which it reads them."""
    return [*(f"{row.name} ({row.table})" for row in inputs.rows), *inputs.numeric, *inputs.similarity]
