"""``query`` on a client that records its requests."""

import io

import numpy as np
import pytest
from rich.console import Console

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client import Classify, Client, Metadata, Model, Signature, TensorSpec, VersionStatus
from tfrs_pretrain.serving.client.query import VERBS, query, query_server
from tfrs_pretrain.serving.client.query_table import show

IDS = {"user_id": TensorSpec("int64", (1,)), "item_id": TensorSpec("string", (None,))}
SCORES = {"score": TensorSpec("float32", (None,))}


class Recorder(Client):
    """Answers every request with as many scores as it has items, and keeps what it received."""

    def __init__(self):
        super().__init__("host:1", Model("m"))
        self.requests = []

    def predict(self, request):
        self.requests.append(request)
        tensors = request.tensors()
        count = max(len(values) for values in tensors.values()) if request.signature != "rank" else len(
            tensors["item_id"])
        return {"score": np.arange(count, dtype=np.float32)}

    def classify(self, request):
        self.requests.append(request)
        return [[("clicked", 0.25), ("", 0.5)] for _ in request.examples]

    def regress(self, request):
        self.requests.append(request)
        return np.array([0.75] * len(request.examples), np.float32)

    def status(self):
        return [VersionStatus(2, "AVAILABLE"), VersionStatus(1, "END", "broken")]

    def metadata(self):
        return Metadata(2, {name: Signature("predict", dict(reversed(IDS.items())), SCORES)
                            for name in ("serving_default", "rank", "user_embedding", "__init")})

    def close(self):
        pass


@pytest.fixture
def client():
    return Recorder()


@pytest.mark.parametrize("body", [
    [{"user_id": 1, "item_id": "a"}, {"user_id": 2, "item_id": "b"}],
    {"instances": [{"user_id": 1, "item_id": "a"}, {"user_id": 2, "item_id": "b"}]},
    {"inputs": {"user_id": [1, 2], "item_id": ["a", "b"]}, "signature_name": "serving_default"}])
def test_predict_accepts_rows_and_columns(client, body):
    assert query(client, "predict", body) == {"score": [0.0, 1.0]}
    [request] = client.requests
    assert request.signature == "serving_default"
    assert {name: values.tolist() for name, values in request.tensors().items()} == {
        "user_id": [1, 2], "item_id": ["a", "b"]}


@pytest.mark.parametrize("candidates", [[{"item_id": "a"}, {"item_id": "b"}], {"item_id": ["a", "b"]}])
def test_rank_numbers_the_candidates(client, candidates):
    found = query(client, "rank", {"user": {"user_id": 7}, "candidates": candidates})
    assert found == {"candidate": [0, 1], "item_id": ["a", "b"], "score": [0.0, 1.0]}
    assert client.requests[0].tensors()["user_id"].tolist() == [7]


def test_rank_without_candidates(client):
    found = query(client, "rank", {"user": {"user_id": 7}, "candidates": []})
    assert found == {"candidate": [], "item_id": [], "score": []}


def test_classify_regress_and_embeddings(client):
    assert query(client, "classify", [{"a": 1}]) == [{"clicked": 0.25, "score": 0.5}]
    assert client.requests[-1] == Classify([{"a": 1}])
    assert query(client, "regress", {"examples": [{"a": 1}]}) == {"output": [0.75]}
    assert query(client, "user_embedding", [3])["user_id"] == [3]
    assert client.requests[-1].signature == "user_embedding"


def test_status_and_metadata(client):
    assert query(client, "status", None)[1] == {"version": 1, "state": "END", "error": "broken"}
    found = query(client, "metadata", None)
    assert found["version"] == 2
    assert list(found["signatures"]) == ["rank", "serving_default", "user_embedding"]
    assert found["signatures"]["rank"] == {
        "method": "predict", "inputs": {"item_id": "string[?]", "user_id": "int64[1]"},
        "outputs": {"score": "float32[?]"}}


def test_a_missing_signature_is_named_with_the_public_ones(client):
    with pytest.raises(UserError, match=r"model 'm' at host:1 has no signature 'item_embedding', only \['rank', "
                                        r"'serving_default', 'user_embedding'\]"):
        query(client, "item_embedding", ["x"])


@pytest.mark.parametrize(("verb", "body", "kind"), [
    ("predict", 5, "TypeError"), ("rank", {}, "KeyError"), ("rank", [], "TypeError"), ("classify", "x", "TypeError")])
def test_bodies_of_another_form_name_the_expected_one(client, verb, body, kind):
    with pytest.raises(UserError, match=f"the request body does not fit {verb} \\({kind}: .*expected ") as caught:
        query(client, verb, body)
    assert str(caught.value).endswith(VERBS[verb].body)


def test_the_request_file_is_read_before_the_server_is_called(tmp_path):
    options = {"rest": False, "version": None, "label": None, "timeout": 1}
    with pytest.raises(UserError, match="unknown request 'x': choose from predict, rank"):
        query_server("127.0.0.1:1", "m", "x", tmp_path / "absent", **options)
    with pytest.raises(UserError, match=r"'.*absent' cannot be read as JSON"):
        query_server("127.0.0.1:1", "m", "predict", tmp_path / "absent", **options)


def printed(verb, answer):
    console = Console(width=120, file=io.StringIO())
    show(verb, answer, console)
    return console.file.getvalue()


def test_tables_are_sorted_by_score_only_for_rank():
    answer = {"item_id": ["low", "high"], "score": [0.1, 0.9]}
    assert printed("rank", answer).index("high") < printed("rank", answer).index("low")
    assert printed("predict", answer).index("low") < printed("predict", answer).index("high")


def test_cells_are_short():
    text = printed("user_embedding", {"user_id": [1], "embedding": [[0.123456789] * 8]})
    assert "[0.1235, 0.1235, 0.1235, 0.1235, 0.1235, 0.1235, …]" in text
    assert "[0.1235]" in printed("user_embedding", {"user_id": [1], "embedding": [[0.123456789]]})
    assert "0.500000" in printed("regress", {"output": [0.5]})


def test_the_metadata_table_and_an_empty_answer(client):
    text = printed("metadata", query(client, "metadata", None))
    assert "version 2" in text
    assert "user_id (input)" in text
    assert "score (output)" in text
    assert "nothing" in printed("classify", [])
