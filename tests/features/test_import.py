"""The Beam jobs and the serving clients use the kinds without TensorFlow."""

import subprocess
import sys

CODE = """
import sys
import pyarrow as pa
from tfrs_pretrain.features.registry import parse_feature
feature = parse_feature({"name": "tags", "source": "items", "kind": "multi_valued", "dtype": "string", "max_values": 1})
lists = feature.record_values(feature.clean(pa.array([["a", "b"]])), lambda name, values: [7] * len(values))
assert lists.to_pylist() == [[7]]
print([name for name in ("tensorflow", "keras", "apache_beam") if name in sys.modules])
"""


def test_values_are_cleaned_and_mapped_without_tensorflow_and_beam():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
