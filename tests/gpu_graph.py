"""What a traced function would do on a GPU, told from TensorFlow's kernel registry, which needs no GPU."""

import collections

import tensorflow as tf
from tensorflow.python.framework import kernels

# Tensors of up to this many elements, such as shapes and bounds of slices, may live in host memory.
MAX_HOST_ELEMENTS = 16
# These only call functions, whose operations are looked at one by one.
CALLS = {"PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf"}
# Placed by TensorFlow wherever their function runs.
PLACELESS = {"Placeholder", "Const", "NoOp", "_Arg", "_Retval"}


def host_traffic(function: tf.types.experimental.ConcreteFunction) -> collections.Counter:
    """Operations that would copy a large tensor between a GPU and the host: description -> how often in the graph.

    A large tensor is one of more than ``MAX_HOST_ELEMENTS`` elements, or of an unknown number.
    """
    found = collections.Counter()
    for graph in graphs(function.graph):
        for operation in graph.get_operations():
            found.update(_traffic(operation))
    return found


def whole_reads(function: tf.types.experimental.ConcreteFunction, tables) -> list[str]:
    """Names of the weights and slots of tables that a function reads as a whole."""
    variables = [variable for table in tables for variable in (table.weights, *table.slots.values())]
    captured = {id(inner): outer for outer, inner in function.graph.captures}
    read = {id(captured[id(operation.inputs[0])]) for operation in function.graph.get_operations()
            if operation.type == "ReadVariableOp" and id(operation.inputs[0]) in captured}
    return [variable.name for variable in variables if id(variable.handle) in read]


def host_crossings(function: tf.types.experimental.ConcreteFunction) -> set[tuple[str, tuple | None]]:
    """Types and shapes of the tensors that move between operations that are pinned to the CPU and the others.

    Scalars, shapes and handles of variables are left out.
    """
    moved = [tensor for graph in graphs(function.graph) for operation in graph.get_operations()
             for tensor in operation.inputs if tensor.op.type != "Const" and _on_cpu(tensor.op) != _on_cpu(operation)]
    return {(tensor.dtype.name, tuple(tensor.shape)) for tensor in moved if _is_large(tensor)}


def uses_off_the_host(function: tf.types.experimental.ConcreteFunction, tables) -> list[str]:
    """Operations on the weights and slots of tables that are not pinned to the CPU; tables that nothing uses."""
    variables = [variable for table in tables for variable in (table.weights, *table.slots.values())]
    inner = {id(inner): outer for outer, inner in function.graph.captures}
    users = {id(variable.handle): [] for variable in variables}
    for operation in function.graph.get_operations():
        for tensor in operation.inputs:
            users.get(id(inner.get(id(tensor))), []).append(operation)
    return [*(operation.name for found in users.values() for operation in found if not _on_cpu(operation)),
            *(variable.name for variable in variables if not users[id(variable.handle)])]


def _on_cpu(operation: tf.Operation) -> bool:
    return tf.DeviceSpec.from_string(operation.device).device_type == "CPU"


def graphs(graph: tf.Graph) -> list[tf.Graph]:
    """A graph and those of all functions that its operations call."""
    found, waiting = {}, [graph]
    while waiting:
        current = waiting.pop()
        if id(current) not in found:
            found[id(current)] = current
            waiting.extend(_called(current))
    return list(found.values())


def _called(graph: tf.Graph):
    names = {operation.get_attr(attribute).name for operation in graph.get_operations()
             for attribute in operation.node_def.attr if operation.node_def.attr[attribute].HasField("func")}
    return [graph._get_function(name).graph for name in names]


def _traffic(operation: tf.Operation) -> list[str]:
    if operation.type in CALLS | PLACELESS or _on_cpu(operation):
        return []
    kernel = _gpu_kernel(operation)
    if kernel is None:
        tensors = [*operation.inputs, *operation.outputs]
        return [f"{operation.type}[{_types(operation)}] has no kernel"] if any(map(_is_large, tensors)) else []
    arguments = _by_argument(operation)
    return [f"{operation.type}[{_types(operation)}] keeps {name} on the host" for name in kernel.host_memory_arg
            if any(map(_is_large, arguments.get(name, [])))]


def _gpu_kernel(operation: tf.Operation):
    for kernel in kernels.get_registered_kernels_for_op(operation.type).kernel:
        if kernel.device_type in ("GPU", "DEFAULT") and all(
                _fits(operation.node_def.attr[constraint.name], constraint) for constraint in kernel.constraint):
            return kernel
    return None


def _fits(attribute, constraint) -> bool:
    allowed = constraint.allowed_values.list
    if allowed.type:
        return set(attribute.list.type or [attribute.type]) <= set(allowed.type)
    return attribute.s in allowed.s


def _by_argument(operation: tf.Operation) -> dict[str, list[tf.Tensor]]:
    """The tensors of an operation by the name of the argument in its definition."""
    definition, found = operation.op_def, {}
    for arguments, tensors in ((definition.input_arg, operation.inputs), (definition.output_arg, operation.outputs)):
        rest = list(tensors)
        for argument in arguments:
            count = _length(operation, argument)
            found[argument.name], rest = rest[:count], rest[count:]
    return found


def _length(operation: tf.Operation, argument) -> int:
    if argument.number_attr:
        return operation.node_def.attr[argument.number_attr].i
    return len(operation.node_def.attr[argument.type_list_attr].list.type) if argument.type_list_attr else 1


def _is_large(tensor: tf.Tensor) -> bool:
    is_handle = tensor.dtype in (tf.resource, tf.variant)
    # The axes of a broadcast: as many as a shape has, though their number is not known.
    if is_handle or tensor.shape.rank == 0 or tensor.op.type == "BroadcastGradientArgs":
        return False
    elements = tensor.shape.num_elements() if tensor.shape.rank is not None else None
    return elements is None or elements > MAX_HOST_ELEMENTS


def _types(operation: tf.Operation) -> str:
    types = [value.type for value in operation.node_def.attr.values() if value.type]
    return ", ".join(tf.as_dtype(value).name for value in types)
