"""A stand-in for TensorFlow and Keras in numpy: what the product needs to write, read and edit artifacts, no more.

``install`` must run before any module of the product that imports TensorFlow. Everything that has no counterpart here
is a placeholder: it can be subclassed, called and used as a decorator when a module is imported, and computes nothing.
"""

import hashlib
import importlib.abc
import importlib.machinery
import json
import shutil
import struct
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

ROOTS = ("tensorflow", "keras")
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class Placeholder:
    """Stands for any class, function or constant while modules are imported."""

    def __init__(self, *arguments, **options):
        pass

    def __call__(self, *arguments, **options):
        is_decorated = len(arguments) == 1 and not options and callable(arguments[0])
        return arguments[0] if is_decorated else Placeholder()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder()

    def __mro_entries__(self, bases):
        return (Base,)

    def __or__(self, other):
        return self

    __ror__ = __or__

    def __getitem__(self, key):
        return self


class Base:
    """Base of the classes that inherit from TensorFlow's."""

    def __init__(self, *arguments, **options):
        pass


class StandInModule(ModuleType):
    """A module whose missing attributes are placeholders."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder()


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module of TensorFlow and Keras."""

    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ROOTS:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandInModule(spec.name)

    def exec_module(self, module):
        pass


class Variable:
    """A variable with its value, name and shape."""

    def __init__(self, value, name="Variable", **_):
        self._value, self.name = np.array(value), f"{name}:0"

    @property
    def shape(self):
        return Shape(self._value.shape)

    @property
    def dtype(self):
        return DType(self._value.dtype)

    def numpy(self):
        return self._value

    def assign(self, value):
        self._value = np.array(value)


class Shape(tuple):
    """A shape, also as a list."""

    def as_list(self):
        return list(self)


class DType:
    """A numpy dtype with TensorFlow's attributes."""

    def __init__(self, dtype):
        self.size, self.name, self.as_numpy_dtype = dtype.itemsize, dtype.name, dtype.type


class Asset:
    """A file that is copied into a SavedModel."""

    def __init__(self, path):
        self.asset_path = path


class Tensor:
    """Values with ``numpy()``."""

    def __init__(self, values):
        self._values = values

    def numpy(self):
        return self._values

    def __iter__(self):
        return iter(self._values)


class CheckpointReader:
    """Reads the variables of a SavedModel that ``save_model`` wrote."""

    def __init__(self, prefix):
        with np.load(f"{prefix}.index") as stored:
            self.values = dict(stored)

    def get_tensor(self, name):
        return self.values[name]

    def get_variable_to_shape_map(self):
        return {name: value.shape for name, value in self.values.items()}

    def get_variable_to_dtype_map(self):
        return {name: value.dtype for name, value in self.values.items()}


class RecordWriter:
    """Writes a TFRecord file."""

    def __init__(self, path):
        self._path, self._records = Path(path), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._path.write_bytes(b"".join(self._records))

    def write(self, record):
        from tfrs_pretrain.serving.protocol.tfrecords import _masked_crc

        length = struct.pack("<Q", len(record))
        crcs = [struct.pack("<I", int(_masked_crc(part))) for part in (length, record)]
        self._records.append(length + crcs[0] + record + crcs[1])


class Network:
    """The dense network: two weights."""

    built = True

    def __init__(self, weights):
        self._weights = [np.asarray(weight, np.float32) for weight in weights]

    @property
    def variables(self):
        return [Weight(f"network/{number}", weight.shape, weight) for number, weight in enumerate(self._weights)]

    @property
    def weights(self):
        return self.variables

    def get_weights(self):
        return list(self._weights)

    def set_weights(self, weights):
        self._weights = list(weights)

    def get_config(self):
        return {"layers": len(self._weights)}

    def save(self, path):
        Path(path).write_text(json.dumps([weight.tolist() for weight in self._weights]))


class Weight:
    """Name, shape and value of a weight."""

    def __init__(self, path, shape, value):
        self.path, self.shape, self.value = path, shape, value


def load_network(path, **_):
    """Reads what ``Network.save`` wrote."""
    return Network(json.loads(Path(path).read_text()))


def save_variables(prefix, values):
    """Writes variables in the place of TensorFlow's two files."""
    with Path(f"{prefix}.index").open("wb") as file:
        np.savez(file, **values)


def save_model(served, folder):
    """Writes the variables and assets of a served model in the place of its SavedModel."""
    for name in ("variables", "assets"):
        (folder / name).mkdir()
    values = {f"_dense/{number}{VALUE}": weight for number, weight in enumerate(served._dense)}
    for name, table in served._tables.items():
        values[f"_tables/{name}/_rows{VALUE}"] = table._rows.numpy()
        if table._scales is not None:
            values[f"_tables/{name}/_scales{VALUE}"] = table._scales.numpy()
    live = served.described_updates() if hasattr(served, "described_updates") else None
    if live:
        values[f"_version{VALUE}"] = np.array(live["token"].encode())
    save_variables(folder / "variables" / "variables", values)
    for lookup in served._lookups.values():
        for asset in filter(None, (lookup._asset, lookup._rows_asset)):
            shutil.copyfile(asset.asset_path, folder / "assets" / Path(asset.asset_path).name)
    graph = {"lookups": {name: {"dtype": lookup.dtype, "oov_rows": lookup._oov_rows}
                         for name, lookup in served._lookups.items()},
             "live": live}
    (folder / "saved_model.pb").write_text(json.dumps(graph))


def serialize(values):
    """Serializes ids or rows; like TensorFlow's, the bytes contain texts and little-endian integers as they are."""
    if np.asarray(values).dtype.kind == "i":
        return Tensor(np.asarray(values, "<i8").tobytes())
    return Tensor(json.dumps([value.decode() if isinstance(value, bytes) else value
                              for value in np.asarray(values).tolist()], ensure_ascii=False).encode())


def parse(data, dtype):
    """Reads what ``serialize`` wrote."""
    if dtype == "string":
        return Tensor(np.array([value.encode() for value in json.loads(data)], object))
    return Tensor(np.frombuffer(data, "<i8"))


def strong_hashes(values, num_buckets, key):
    """Hashes of texts; not TensorFlow's, but as rarely equal."""
    texts = [value if isinstance(value, bytes) else value.encode() for value in np.asarray(values).tolist()]
    return Tensor(np.array([int.from_bytes(hashlib.sha256(text).digest()[:8], "little") % num_buckets
                            for text in texts], np.int64))


def constant(values, dtype=None):
    """Values as an array."""
    if isinstance(dtype, str):
        return np.asarray(values, object if dtype == "string" else dtype)
    return np.asarray(values, dtype)


def _save(prefix, tensor_names, shape_and_slices, tensors):
    save_variables(prefix, dict(zip(tensor_names, tensors, strict=True)))


def _merge(checkpoint_prefixes, destination_prefix):
    Path(f"{checkpoint_prefixes[0]}.index").rename(f"{destination_prefix}.index")


def install():
    """Puts the stand-in in the place of TensorFlow and Keras."""
    from tfrs_pretrain.serving.protocol import messages, tensor_protos

    sys.meta_path.insert(0, Finder())
    import keras
    import tensorflow as tf

    tf.Variable, tf.Module, tf.constant = Variable, Base, constant
    tf.int64, tf.string, tf.as_dtype = "int64", "string", lambda dtype: getattr(dtype, "name", dtype)
    tf.make_tensor_proto = lambda values, dtype=None: tensor_protos.to_proto(np.asarray(values))
    tf.make_ndarray = tensor_protos.from_proto
    tf.io = StandInModule("io")
    tf.io.serialize_tensor, tf.io.parse_tensor, tf.io.TFRecordWriter = serialize, parse, RecordWriter
    tf.train = StandInModule("train")
    tf.train.load_checkpoint, tf.train.Example = CheckpointReader, messages.Example
    tf.raw_ops = StandInModule("raw_ops")
    tf.raw_ops.SaveV2, tf.raw_ops.MergeV2Checkpoints = _save, _merge
    tf.saved_model = StandInModule("saved_model")
    tf.saved_model.Asset = Asset
    tf.strings = StandInModule("strings")
    tf.strings.to_hash_bucket_strong = strong_hashes
    keras.saving = StandInModule("saving")
    keras.saving.load_model = load_network
