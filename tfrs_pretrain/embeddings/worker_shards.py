"""Rows dealt over the replicas of several workers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfrs_pretrain.embeddings.placed_variable import PlacedVariable
from tfrs_pretrain.embeddings.replicas import sum_of_replicas
from tfrs_pretrain.embeddings.sharded import Sharded

READ_ROWS = 1 << 13  # rows of one exchange between workers: 2 MB at 64 columns
_END = -1  # instead of a variable's number: the first worker reads no more rows


class WorkerShards(Sharded):
    """As ``Sharded``, where each worker has its replicas' rows only.

    All workers must create the same variables in the same order, and read outside of replicas at the same points of
    the program. In ``answering``, the first worker alone reads: it sends each request to the others.

    Args:
      strategy: of all workers, each with the same number of replicas.
    """

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy):
        task = strategy.cluster_resolver.task_id
        super().__init__(strategy.num_replicas_in_sync, task * len(strategy.extended.worker_devices))
        self._strategy, self._is_chief, self._is_answered = strategy, task == 0, False
        self._variables: list[tf.Variable] = []
        self._reads: dict[int, Callable[[tf.Tensor], tf.Tensor]] = {}
        self._send = tf.function(self._sum_requests, autograph=False)
        self._lock = threading.Lock()  # each request needs its answer before the next one

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Context in which the first worker reads what it wants; every other one answers until that has left it."""
        if not self._is_chief:
            self._answer()
            yield
            return
        self._is_answered = True
        try:
            yield
        finally:
            self._is_answered = False
            self._send(tf.constant([_END, *[0] * READ_ROWS], tf.int64))

    def _create(self, name: str, values: tf.Tensor) -> tf.Variable:
        variable = super()._create(name, values)
        self._variables.append(variable)
        return variable

    def _gather_outside(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        ids = tf.convert_to_tensor(ids)
        flat = tf.cast(tf.reshape(ids, [-1]), tf.int64)
        rows = (self._in_eager_blocks(variable, flat.numpy()) if tf.executing_eagerly() else
                self._in_blocks(variable, flat))
        return tf.reshape(tf.cast(rows, variable.dtype), tf.concat([tf.shape(ids), variable.shape[1:]], 0))

    def _in_eager_blocks(self, variable: tf.Variable, ids: np.ndarray) -> np.ndarray:
        """float32 [n, ...]: rows of ids [n]."""
        number = next(number for number, known in enumerate(self._variables) if known is variable)
        with self._lock:
            parts = [self._block(number, ids[start:start + READ_ROWS]) for start in range(0, len(ids), READ_ROWS)]
        return np.concatenate([np.empty((0, *variable.shape[1:]), np.float32), *parts])

    def _in_blocks(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        """As ``_in_eager_blocks``, in a graph."""
        size = min(READ_ROWS, ids.shape[0] or READ_ROWS)  # collectives need the same size in every step
        blocks = -(-tf.size(ids) // size)
        padded = tf.pad(ids, [[0, blocks * size - tf.size(ids)]])

        def body(number: tf.Tensor, parts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            part = tf.ensure_shape(padded[number * size:(number + 1) * size], [size])
            return number + 1, parts.write(number, self._read(variable, part))

        parts = tf.TensorArray(tf.float32, size=blocks, element_shape=[size, *variable.shape[1:]])
        # A collective must not run twice at the same time.
        _, parts = tf.while_loop(lambda number, _: number < blocks, body, (tf.constant(0), parts),
                                 parallel_iterations=1)
        return tf.reshape(parts.stack(), [-1, *variable.shape[1:]])[:tf.size(ids)]

    def _read(self, variable: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
        """float32 [n, ...]: rows of ids [n], of all workers; n is static."""
        rows = self._strategy.run(lambda: sum_of_replicas(self._own_rows(variable, ids)))
        return self._strategy.experimental_local_results(rows)[0]

    def _block(self, number: int, ids: np.ndarray) -> np.ndarray:
        """float32 [n, ...]: rows of ids [n], at most ``READ_ROWS``, of the variable of that number."""
        request = np.zeros(1 + READ_ROWS, np.int64)
        request[0], request[1:1 + len(ids)] = number, ids
        if self._is_answered:
            self._send(tf.constant(request))
        rows: np.ndarray = self._compiled(number)(tf.constant(request[1:])).numpy()
        return rows[:len(ids)]

    def _answer(self) -> None:
        while True:
            request = self._send(tf.zeros([1 + READ_ROWS], tf.int64))
            if (number := int(request[0])) == _END:
                return
            self._compiled(number)(request[1:])

    def _compiled(self, number: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """``_read`` of a variable. Replicas of a process, not compiled, would wait for each other for ever."""
        if number not in self._reads:
            variable = self._variables[number]
            self._reads[number] = tf.function(lambda ids: self._read(variable, ids), autograph=False)
        return self._reads[number]

    def _sum_requests(self, request: tf.Tensor) -> tf.Tensor:
        """The request of the first worker's first replica; those of the others are zeros."""
        def of_replica() -> tf.Tensor:
            is_first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
            return sum_of_replicas(tf.where(is_first, request, tf.zeros_like(request)))

        return self._strategy.experimental_local_results(self._strategy.run(of_replica))[0]


@contextlib.contextmanager
def answered_reads(variables: Sequence[PlacedVariable]) -> Iterator[None]:
    """Context in which the first worker can read all rows of variables. Every worker must enter it.

    The others answer it until it leaves the context, and enter then.
    """
    placements = {id(variable.placement): variable.placement for variable in variables
                  if isinstance(variable.placement, WorkerShards)}
    with contextlib.ExitStack() as stack:
        for placement in placements.values():
            stack.enter_context(placement.answering())
        yield
