"""The embeddings artifact as users of other models see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tfrs_pretrain.embeddings import artifact
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.interop.raw_ids import as_ids
from tfrs_pretrain.interop.shared_rows import Oov, initial_rows

if TYPE_CHECKING:
    import torch

    from tfrs_pretrain.interop.keras_rows import PretrainedRows


class Embeddings(artifact.Embeddings):
    """Pretrained rows; open them with ``Embeddings.open(folder)``.

    Row ``r`` of a table belongs to one id. The first rows (``vocabulary(table).oov_rows``) are shared by hash among all
    ids without a row of their own: ids that are too rare, or newer than the pretraining.

    Attributes:
      folder: the artifact's folder.
      manifest: the content of its manifest: shapes, window, configuration, metrics.
    """

    def rows(self, ids: Any, table: str = "item") -> np.ndarray:
        """Maps raw ids to row indices of a table.

        Args:
          ids: one id, or ids in any shape: integers or strings, as in the logs; None is a missing id.
          table: "item" or "user".

        Returns:
          int64, of the shape of ``ids``; below ``vocabulary(table).oov_rows`` for an id without a row of its own.

        Raises:
          UserError: there is no such table, or an id is of another type.
        """
        vocabulary = self.vocabulary(table)
        converted, shape = as_ids(ids, vocabulary.dtype)
        return vocabulary.lookup(converted).reshape(shape)

    def lookup(self, ids: Any, table: str = "item") -> np.ndarray:
        """Returns the vectors of raw ids.

        Args:
          ids: as in ``rows``.
          table: "item" or "user".

        Returns:
          float32 [..., dim], where ``...`` is the shape of ``ids``. An id without a row of its own has a shared row.

        Raises:
          UserError: as in ``rows``.
        """
        vectors: np.ndarray = np.asarray(self.matrix(table)[self.rows(ids, table)])
        return vectors

    def to_keras(self, table: str = "item", *, trainable: bool = False, oov: Oov = "shared",
                 inputs: Literal["ids", "rows"] = "ids", name: str | None = None) -> PretrainedRows:
        """Makes a Keras 3 layer that returns the vectors of ids.

        The layer is part of the model around it: it is saved by ``model.save``, exported by ``model.export`` with
        TensorFlow's own operations only, and may be created in or before a strategy's scope. Row ``r`` of its weight
        ``table`` is row ``r`` here.

        Trainable rows are updated by the model's optimizer, and Keras's optimizers update the whole table in each step.
        With millions of rows, leave them as they are, or train them with ``EmbeddingTable``.

        Args:
          table: "item" or "user".
          trainable: whether the rows are trained further.
          oov: the rows that unknown ids share: "shared", as Stage I trained them; "zeros"; or "mean", the mean of the
            rows of all ids. They are trained if ``trainable``.
          inputs: "ids", int64 or string tensors of raw ids [...], on the TensorFlow backend; or "rows", integer tensors
            from ``Embeddings.rows``, on every backend.
          name: name of the layer.

        Returns:
          a layer from [...] to float [..., dim].

        Raises:
          UserError: there is no such table, an option is unknown, or raw ids are requested on another backend.
        """
        import keras

        backend = keras.backend.backend()
        if inputs not in ("ids", "rows"):
            raise UserError(f"inputs {inputs!r} is unknown: choose 'ids' or 'rows'")
        vocabulary = self.vocabulary(table)
        initial = initial_rows(self.matrix(table), vocabulary, oov)
        if inputs == "rows":
            from tfrs_pretrain.interop.keras_rows import PretrainedRows

            return PretrainedRows(*initial.shape, initial=initial, trainable=trainable, name=name)
        if backend != "tensorflow":
            raise UserError(f"raw ids need Keras's TensorFlow backend, this process uses {backend!r}: pass "
                            "inputs='rows' and map ids with Embeddings.rows")
        from tfrs_pretrain.interop.keras_ids import PretrainedIds

        return PretrainedIds.from_vocabulary(vocabulary, initial, trainable=trainable, name=name)

    def to_torch(self, table: str = "item", *, trainable: bool = False, oov: Oov = "shared") -> torch.nn.Embedding:
        """Makes a PyTorch embedding from row indices, which ``Embeddings.rows`` returns, to vectors.

        Args:
          table: "item" or "user".
          trainable: whether the rows are trained further.
          oov: as in ``to_keras``.

        Raises:
          UserError: PyTorch is not installed, there is no such table, or an option is unknown.
        """
        try:
            import torch
        except ImportError as error:
            raise UserError(f"to_torch needs PyTorch ({error}): pip install torch") from error
        rows = initial_rows(self.matrix(table), self.vocabulary(table), oov)
        return torch.nn.Embedding.from_pretrained(torch.from_numpy(rows), freeze=not trainable)
