"""Beam's runner in this process, with limited memory between two steps.

Beam's own has the input and the output of a step in memory several times. This one puts what exceeds a limit into
temporary files, sends the input of a step in chunks, and takes its output chunk by chunk. It uses names that Beam does
not document, therefore ``differences`` compares them with those of the version that it was written for.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import Pipeline
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import execution, fn_runner
from apache_beam.runners.runner import PipelineResult
from apache_beam.runners.worker import data_plane

from beam_pipelines.jobs.spill_store import SpillStore
from beam_pipelines.jobs.spilling_buffers import spilling

WRITTEN_FOR = "2.77"
Data = beam_fn_api_pb2.Elements.Data

# Parameters of the functions of Beam that are overridden or called.
PARAMETERS: dict[tuple[type, str], str] = {
    (fn_runner.FnApiRunner, "_execute_bundle"): "self runner_execution_context bundle_context_manager bundle_input",
    (fn_runner.FnApiRunner, "_get_bundle_manager"): "self bundle_context_manager",
    (fn_runner.BundleManager, "_send_input_to_worker"): "self process_bundle_id read_transform_id byte_streams",
    (fn_runner.BundleManager, "process_bundle"):
        "self inputs expected_outputs fired_timers expected_output_timers dry_run",
    (execution.BundleContextManager, "get_buffer"): "self buffer_id transform_id",
    (execution.ListBuffer, "__init__"): "self coder_impl",
    (execution.GroupingBuffer, "__init__"): "self pre_grouped_coder post_grouped_coder windowing",
    (execution.GroupingBuffer, "append"): "self elements_data",
    (execution.GroupingBuffer, "extend"): "self input_buffer",
    (execution.GroupingBuffer, "partition"): "self n",
    (data_plane.InMemoryDataChannel, "inverse"): "self",
}
# Attributes that the functions of a class must use.
ATTRIBUTES: dict[type, str] = {
    execution.ListBuffer: "_inputs _coder_impl",
    execution.GroupingBuffer: "_table _grouped_output _pre_grouped_coder _post_grouped_coder _windowing",
    execution.FnApiRunnerExecutionContext: "pcoll_buffers buffer_id_to_consumer_pairs",
    execution.BundleContextManager: "stage_data_outputs",
    fn_runner.BundleManager: "_worker_handler bundle_context_manager",
    data_plane.InMemoryDataChannel: "_inputs",
}


def differences() -> list[str]:
    """Returns the names that this module uses and that the installed Beam lacks or has in another form."""
    changed = [f"{owner.__name__}.{name}" for (owner, name), parameters in PARAMETERS.items()
               if _parameters(getattr(owner, name, None)) != parameters]
    return changed + [f"{owner.__name__}.{name}" for owner, names in ATTRIBUTES.items()
                      for name in names.split() if name not in _names(owner)]


def _parameters(function: Callable[..., Any] | None) -> str:
    return " ".join(inspect.signature(function).parameters) if function else ""


def _names(owner: type) -> set[str]:
    """Returns the names that the functions of a class use."""
    functions = (value for value in vars(owner).values() if inspect.isfunction(value))
    return {name for function in functions for name in function.__code__.co_names}


class SpillingRunner(fn_runner.FnApiRunner):
    """Runs a pipeline in this process, in one thread.

    Args:
      store: memory and disk for the elements between two steps.
    """

    def __init__(self, store: SpillStore):
        super().__init__()
        self._store = store

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> PipelineResult:
        try:
            return super().run_pipeline(pipeline, options)
        finally:
            self._store.close()

    def _execute_bundle(self, runner_execution_context: execution.FnApiRunnerExecutionContext,
                        bundle_context_manager: execution.BundleContextManager, bundle_input: Any) -> Any:
        buffers = runner_execution_context.pcoll_buffers
        outputs = bundle_context_manager.stage_data_outputs
        for transform, buffer_id in outputs.items():
            buffers[buffer_id] = spilling(bundle_context_manager.get_buffer(buffer_id, transform), self._store)
        result = super()._execute_bundle(runner_execution_context, bundle_context_manager, bundle_input)
        # Beam retains what is read only as a side input, of which its state has a copy.
        for buffer_id in outputs.values():
            if not runner_execution_context.buffer_id_to_consumer_pairs.get(buffer_id):
                buffers.pop(buffer_id, None)
        return result

    def _get_bundle_manager(self, bundle_context_manager: execution.BundleContextManager) -> fn_runner.BundleManager:
        return _ChunkwiseBundleManager(
            bundle_context_manager, cache_token_generator=self.get_cache_token_generator(static=False))


class _ChunkwiseBundleManager(fn_runner.BundleManager):
    """Lets the worker read its input from the buffers and write its output to the buffers."""

    def _send_input_to_worker(self, process_bundle_id: str, read_transform_id: str, byte_streams: Iterable[bytes]
                              ) -> None:
        channel = self._worker_handler.data_conn.inverse()
        if not isinstance(channel._inputs, _Input):
            channel._inputs = _Input([channel._inputs])
        channel._inputs.append(_elements(process_bundle_id, read_transform_id, byte_streams))

    def process_bundle(self, inputs: Any, expected_outputs: Any, fired_timers: Any, expected_output_timers: Any,
                       dry_run: bool = False) -> Any:
        context = self.bundle_context_manager
        [worker] = context.worker_handlers
        worker.data_conn._inputs = _Output({transform: context.get_buffer(buffer_id, transform)
                                            for transform, buffer_id in expected_outputs.items()})
        return super().process_bundle(inputs, expected_outputs, fired_timers, expected_output_timers, dry_run)


def _elements(instruction: str, transform: str, chunks: Iterable[bytes]) -> Iterator[Any]:
    for chunk in chunks:
        yield Data(instruction_id=instruction, transform_id=transform, data=chunk)


class _Input(list[Any]):
    """Iterables of messages, which are iterated one after another."""

    def __iter__(self) -> Iterator[Any]:
        for messages in super().__iter__():
            yield from messages

    def append(self, message: Any) -> None:
        super().append([message] if isinstance(message, (Data, beam_fn_api_pb2.Elements.Timers)) else message)


class _Output(list[Any]):
    """Messages of a worker without data; data goes to its buffer at once."""

    def __init__(self, buffers: dict[str, execution.Buffer]):
        super().__init__()
        self._buffers = buffers

    def append(self, message: Any) -> None:
        if not isinstance(message, Data):
            super().append(message)
        elif message.data:
            self._buffers[message.transform_id].append(message.data)
