"""Each check, with a client that returns predefined answers."""

import numpy as np
import pytest
from fake_server import FakeClient, refused

from tfrs_pretrain.serving.client import Metadata, Predict, Signature, TensorSpec, VersionStatus
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay
from tfrs_pretrain.serving.verification.server_checks import check_golden, check_label, check_metadata, check_version


@pytest.mark.parametrize(("statuses", "received", "passed"), [
    ([VersionStatus(2, "AVAILABLE"), VersionStatus(1, "END")], "AVAILABLE", True),
    ([VersionStatus(2, "LOADING")], "LOADING", False), ([VersionStatus(2, "END", "no memory")], "END no memory", False),
    ([VersionStatus(1, "AVAILABLE"), VersionStatus(3, "AVAILABLE")], "versions [1, 3]", False),
    (refused("NOT_FOUND"), "server host:1 answers NOT_FOUND: failed", False)])
def test_the_version_must_be_available(statuses, received, passed):
    check = check_version("gRPC", FakeClient(statuses=statuses), 2)
    assert (check.transport, check.what, check.expected) == ("gRPC", "version 2", "AVAILABLE")
    assert (check.received, check.passed) == (received, passed)


@pytest.mark.parametrize(("metadata", "received", "passed"), [
    (Metadata(2, {}), "version 2", True), (Metadata(1, {}), "version 1", False),
    (refused("INVALID_ARGUMENT"), "server host:1 answers INVALID_ARGUMENT: failed", False)])
def test_the_label_must_lead_to_the_version(metadata, received, passed):
    check = check_label("REST", FakeClient(metadata=metadata), "stable", 2)
    assert (check.what, check.expected) == ("label 'stable'", "version 2")
    assert (check.received, check.passed) == (received, passed)


def signature(dtype="float32"):
    return Signature("predict", {"x": TensorSpec("int64", (None,))}, {"y": TensorSpec(dtype, (None,))})


EXPECTED = Metadata(1, {"b": signature(), "a": signature(), "__init": signature()})


def checks(received):
    return {check.what: (check.expected, check.received, check.passed)
            for check in check_metadata("gRPC", FakeClient(metadata=received), EXPECTED)}


def test_equal_metadata_pass_with_the_loaders_signatures_left_out():
    assert checks(Metadata(1, {"a": signature(), "b": signature()})) == {
        "signatures": ("['a', 'b']", "['a', 'b']", True),
        "inputs and outputs of a": ("2 tensors", "2 tensors", True),
        "inputs and outputs of b": ("2 tensors", "2 tensors", True)}


def test_missing_and_changed_signatures_are_seen():
    found = checks(Metadata(1, {"b": signature("int64"), "c": signature()}))
    assert found["signatures"] == ("['a', 'b']", "['b', 'c']", False)
    assert found["inputs and outputs of b"] == ("output y: float32[?]", "output y: int64[?]", False)
    assert len(found) == 2
    assert checks(refused("UNAVAILABLE")) == {
        "signatures": ("['a', 'b']", "server host:1 answers UNAVAILABLE: failed", False)}


@pytest.mark.parametrize(("outputs", "received", "passed"), [
    ({"y": np.array([1.0, 2.0])}, "2 rows, largest difference 0.0e+00", True),
    ({"y": np.array([1.0, 2.1])}, "2 rows, largest difference 1.0e-01", True),
    ({"y": np.array([1.0, 2.2])}, "2 rows, largest difference 2.0e-01", False),
    ({"y": np.array([1.0, np.nan])}, "2 rows, largest difference inf", False),
    ({"z": np.array([1.0, 2.0])}, "outputs ['z'] instead of ['y']", False),
    (refused("INTERNAL"), "server host:1 answers INTERNAL: failed", False)])
def test_golden_answers_are_compared_with_the_tolerance(outputs, received, passed):
    golden = GoldenReplay("rank", lambda client: client.predict(Predict({})), {"y": np.array([1.0, 2.0])})
    check = check_golden("gRPC", FakeClient(outputs), golden, 0.10001)
    assert (check.what, check.expected) == ("golden rank", "the stored outputs ± 0.10001")
    assert (check.received, check.passed) == (received, passed)
