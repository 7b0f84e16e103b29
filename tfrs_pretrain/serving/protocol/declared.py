"""TensorFlow Serving's messages, declared by the ``.proto`` files of this folder, without TensorFlow.

They have the same wire format as the generated ones. They are in a descriptor pool of their own, so a process may also
import TensorFlow; a message of one kind is not assignable to a field of the other.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import any_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from tfrs_pretrain.serving.protocol.proto_files import parse_proto

FILES = ("error_codes.proto", "tensorflow.proto", "tensorflow_serving.proto")  # each after those that it imports


def declared_messages() -> tuple[descriptor_pool.DescriptorPool, dict[str, Any]]:
    """Reads the files.

    Returns:
      the pool, and name without package -> class, of the messages and enums of all files.
    """
    pool, folder = descriptor_pool.DescriptorPool(), resources.files(__package__)
    found: dict[str, Any] = {}
    for known in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    for name in FILES:
        pool.AddSerializedFile(parse_proto(name, (folder / name).read_text("utf-8")).SerializeToString())
        file = pool.FindFileByName(name)
        found |= {kind: message_factory.GetMessageClass(descriptor)
                  for kind, descriptor in file.message_types_by_name.items()}
        found |= {kind: EnumTypeWrapper(descriptor) for kind, descriptor in file.enum_types_by_name.items()}
    return pool, found
