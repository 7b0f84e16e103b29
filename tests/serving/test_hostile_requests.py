"""Invalid requests to the loaded model: refused or answered, without an effect on other requests."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.session import LoadedModel

pytestmark = pytest.mark.slow
ONE = {"user_id": np.array([1901]), "item_id": np.array(["ítem-3"], object), "surface": np.array(["home"], object),
       "country": np.array(["Perú"], object), "topic": np.array([2]), "quality": np.array([0.5], np.float32),
       "tags": np.array([["neu", "alt"]], object), "codes": np.array([[3]]),
       "history": np.array([["ítem-1", "ítem-2"]], object)}
USER, CONTEXT = ("user_id", "country", "history"), ("surface", "codes")


@pytest.fixture(scope="module")
def served(kinds_export):
    with LoadedModel(kinds_export[0]) as model:
        yield model


@pytest.fixture(scope="module")
def answer(served):
    return served.run("serving_default", ONE)["score"]


def rows(count, **others):
    return {name: np.repeat(values, count, axis=0) for name, values in ONE.items()} | others


def example(**features):
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values)) if isinstance(values[0], bytes)
               else tf.train.Feature(float_list=tf.train.FloatList(value=values)) if isinstance(values[0], float)
               else tf.train.Feature(int64_list=tf.train.Int64List(value=values)) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def examples(*serialized):
    return {"inputs": np.array(serialized, object)}


@pytest.mark.parametrize(("signature", "inputs", "words"), [
    ("serving_default", rows(3, quality=ONE["quality"]), r"\[quality\] \[have\] \[1\] \[rows, item_id has\] \[3\]"),
    ("serving_default", rows(3, surface=np.array([["home"]] * 3, object)), "surface.*not compatible"),
    ("serving_default", rows(3, history=np.array(["a", "b", "c"], object)), "history.*not compatible"),
    ("serving_default", rows(3, user_id=np.array(5)), "user_id.*not compatible"),
    ("serving_default", rows(3, topic=np.array(["a"] * 3, object)), "actual string vs. expect int64.*topic"),
    ("serving_default", rows(3, quality=np.array([1, 2, 3])), "actual int64 vs. expect float.*quality"),
    ("rank", rows(3), r"(user_id|country|history).*\[3.*not compatible with expected shape \[1"),
    ("rank", rows(3, **{name: ONE[name] for name in USER}, surface=np.array(["home"] * 2, object)),
     r"\[surface\] \[have\] \[2\] \[rows, item_id has\] \[3\]"),
    ("rank", rows(3, **{name: ONE[name] for name in USER}, topic=np.array([1])), r"\[topic\] \[have\] \[1\]"),
    ("predict_examples", examples(b"\x99random"), "Could not parse example input"),
    ("predict_examples", examples(example(user_id=[1])), "item_id.*required"),
    ("predict_examples", examples(example(user_id=[1], item_id=[2])), "item_id.*int64 but expected type: string"),
    ("predict_examples", examples(example(user_id=[1, 2], item_id=[b"a"])), "user_id.*Number of int64 values"),
    ("predict_examples", {"inputs": np.array([[b""]], object)}, "inputs.*not compatible"),
    ("user_embedding", {"user_id": np.array([[1]])}, "user_id.*not compatible"),
])
def test_invalid_inputs_are_refused_by_name(served, answer, signature, inputs, words):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){words}"):
        served.run(signature, inputs)
    np.testing.assert_array_equal(served.run("serving_default", ONE)["score"], answer)


def test_unknown_inputs_are_refused_with_the_expected_names(served):
    with pytest.raises(UserError, match=r"'serving_default' .* takes \['codes', .*'user_id'\], got \['user'\]"):
        served.run("serving_default", {"user": np.array([1])})


@given(garbage=st.lists(st.binary(max_size=200), min_size=1, max_size=4))
@settings(deadline=None, max_examples=150)
def test_random_bytes_are_refused(served, answer, garbage):
    for signature in ("predict_examples", "classify", "regress"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            served.run(signature, examples(*garbage))
    np.testing.assert_array_equal(served.run("serving_default", ONE)["score"], answer)


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_damaged_example_does_not_change_the_score_of_another_one(served, data):
    whole = example(user_id=[1901], item_id=["ítem-3".encode()], quality=[0.5], tags=[b"neu"])
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    alone = served.run("predict_examples", examples(whole))["score"]
    try:
        both = served.run("predict_examples", examples(bytes(damaged), whole))["score"]
    except tf.errors.InvalidArgumentError:
        both = np.concatenate([alone, alone])
    np.testing.assert_allclose(both[1:], alone, rtol=0, atol=1e-6)


def test_huge_requests_are_answered(served, answer):
    many = served.run("serving_default", rows(20_000))["score"]
    np.testing.assert_allclose(many, np.repeat(answer, 20_000), rtol=0, atol=1e-6)
    ranked = served.run("rank", rows(20_000, **{name: ONE[name] for name in (*USER, *CONTEXT)}))["score"]
    np.testing.assert_allclose(ranked, np.repeat(answer, 20_000), rtol=0, atol=1e-6)
    endless = np.concatenate([np.full((1, 100_000), "x", object), [[f"ítem-{n}" for n in range(6)]]], axis=1)
    short = served.run("serving_default", ONE | {"history": endless[:, -6:]})["score"]
    np.testing.assert_allclose(served.run("serving_default", ONE | {"history": endless})["score"], short, atol=1e-6)
    one_long = examples(example(user_id=[1901], item_id=[b"y"], codes=[7] * 200_000),
                        *[example(user_id=[1901], item_id=[b"y"], codes=[7, 7])] * 500)
    scores = served.run("predict_examples", one_long)["score"]
    np.testing.assert_allclose(scores, np.repeat(scores[-1:], 501), rtol=0, atol=1e-6)


def test_extreme_numbers_affect_only_their_row(served, answer):
    numbers = np.array([0.5, np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45], np.float32)
    scores = served.run("serving_default", rows(7, quality=numbers))["score"]
    np.testing.assert_allclose(scores[0], answer[0], rtol=0, atol=1e-6)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[[2, 3]], scores[[1, 1]])  # infinite is missing


def test_hostile_requests_do_not_affect_other_threads(served, answer):
    wrong, stop = [], threading.Event()

    def attack():
        random = np.random.default_rng(0)
        while not stop.is_set():
            try:
                served.run("predict_examples", examples(random.bytes(50)))
            except tf.errors.InvalidArgumentError:
                continue

    def ask():
        for _ in range(200):
            found = served.run("serving_default", ONE)["score"]
            if not np.array_equal(found, answer):
                wrong.append(found)

    attackers, askers = ([threading.Thread(target=work) for _ in range(2)] for work in (attack, ask))
    for thread in (*attackers, *askers):
        thread.start()
    for thread in askers:
        thread.join()
    stop.set()
    for thread in attackers:
        thread.join()
    assert wrong == []
