"""What counts as held, lost and silent for a hostile request; the same seed repeats a request."""

import pytest
from hostile_grpc import grpc_request
from hostile_requests import ANSWERED, ANY, ISOLATED, REFUSED
from hostile_rest import rest_request
from hostile_trials import Answer, problem

REFUSAL, GOOD = Answer("INVALID_ARGUMENT", True, text="bad"), Answer("OK", scores=[0.5, 0.1])
ROWS = [{"user_id": 1, "item_id": "a", "quality": 0.5}, {"user_id": 2, "item_id": "b", "quality": 1.5}]


@pytest.mark.parametrize(("expected", "answer", "outcome"), [
    (REFUSED, REFUSAL, None), (REFUSED, GOOD, "silent"), (ANY, REFUSAL, None), (ANY, GOOD, None),
    (ISOLATED, REFUSAL, None), (ISOLATED, GOOD, None), (ANSWERED, GOOD, None), (ANSWERED, REFUSAL, "lost"),
    *((each, Answer(""), "lost") for each in (REFUSED, ANY, ISOLATED, ANSWERED)),
    *((each, Answer("INTERNAL", text="KeyError: 1"), "lost") for each in (REFUSED, ANY, ISOLATED, ANSWERED)),
    *((each, Answer("OK", scores=scores), "silent") for each in (ISOLATED, ANSWERED)
      for scores in ([0.6, 0.1], [0.5, float("nan")], [float("inf"), 0.1], [0.5], [], None))])
def test_outcome_of_an_answer(expected, answer, outcome):
    found = problem(expected, answer, usual_score=0.5)
    assert (found and found[0]) == outcome


@pytest.mark.parametrize("build", [grpc_request, rest_request])
def test_a_seed_repeats_its_request(build):
    requests = [build(seed, "m", ROWS) for seed in range(140)]
    assert requests == [build(seed, "m", ROWS) for seed in range(140)]
    assert len({request.content for request in requests}) > 90
