"""The load generator on clients without a server."""

import itertools
import threading
import time

import numpy as np
import pytest
from fake_server import FakeClient, refused
from hypothesis import given
from hypothesis import strategies as st

from tfrs_pretrain.serving.client import Predict
from tfrs_pretrain.serving.verification.golden_replay import GoldenReplay
from tfrs_pretrain.serving.verification.load_generator import LoadSpec, latency_ms, measure_load

GOLDEN = GoldenReplay("rank", lambda client: client.predict(Predict({})), {"y": np.array([1.0, 2.0, 3.0])})
RIGHT, WRONG = {"y": np.array([1.0, 2.0, 3.0])}, {"y": np.array([1.0, 2.0, 4.0])}


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=200))
def test_percentiles_are_numpys(seconds):
    found = latency_ms(seconds)
    assert list(found) == ["p50", "p95", "p99", "max"]
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert found[name] == pytest.approx(np.percentile(np.array(seconds) * 1000, percent))
    assert found["max"] == pytest.approx(max(seconds) * 1000)


def test_all_requests_are_sent_by_as_many_clients_as_asked_for():
    clients, threads = [], set()

    def answer():
        threads.add(threading.get_ident())
        time.sleep(0.002)
        return RIGHT

    def connect():
        clients.append(FakeClient(answer))
        return clients[-1]

    result = measure_load(connect, GOLDEN, LoadSpec(requests=50, concurrency=5), 0.0)
    assert (len(clients), len(threads)) == (5, 5)
    assert (result.signature, result.rows, result.concurrency, result.requests) == ("rank", 3, 5, 50)
    assert result.failures == {}
    assert 2 <= result.latency_ms["p50"] <= result.latency_ms["max"]


def test_errors_and_different_answers_are_counted_by_kind():
    answers = itertools.cycle([RIGHT, WRONG, refused("UNAVAILABLE"), {"z": RIGHT["y"]}, refused("UNAVAILABLE")])
    result = measure_load(lambda: FakeClient(lambda: next(answers)), GOLDEN, LoadSpec(10, 1), 0.5)
    assert result.failures == {"different answer": 4, "UNAVAILABLE": 4}
    assert result.requests == 10


def test_a_difference_within_the_tolerance_is_no_failure():
    result = measure_load(lambda: FakeClient(WRONG), GOLDEN, LoadSpec(3, 1), 1.0)
    assert result.failures == {}


def test_the_rate_is_bounded():
    result = measure_load(lambda: FakeClient(RIGHT), GOLDEN, LoadSpec(21, 4, max_qps=100), 0.0)
    assert result.requests_per_second <= 21 / 0.2


def test_the_json_has_a_key_for_each_latency():
    content = measure_load(lambda: FakeClient(RIGHT), GOLDEN, LoadSpec(4, 2), 0.0).to_json()
    assert set(content) == {"signature", "rows", "concurrency", "requests", "p50_ms", "p95_ms", "p99_ms", "max_ms",
                            "requests_per_second", "failures"}
