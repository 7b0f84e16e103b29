"""Result of a verification as JSON and on the console."""

import io
import json

from rich.console import Console

from tfrs_pretrain.serving.verification.result import Check, LoadResult, VerificationResult
from tfrs_pretrain.serving.verification.result_table import show

PASSED = Check("gRPC", "version 3", "AVAILABLE", "AVAILABLE", True)
FAILED = Check("REST", "label 'stable'", "version 3", "version 2 [bold]", False)
LOAD = LoadResult("rank", 32, 4, 200, {"p50": 1.234, "p95": 5.0, "p99": 6.0, "max": 7.891}, 432.1, {})


def printed(result):
    console = Console(width=150, file=io.StringIO())
    show(result, console)
    return console.file.getvalue()


def test_all_checks_passed():
    text = printed(VerificationResult("ranker", 3, (PASSED, PASSED), {"gRPC": LOAD}))
    assert "ranker version 3" in text
    assert "all 2 checks passed" in text
    assert "200 requests of 32 rows to rank, 4 clients" in text
    [line] = [line for line in text.splitlines() if "1.23" in line]
    assert [cell.strip() for cell in line.strip("│ ").split("│")] == ["gRPC", "1.23", "5.00", "6.00", "7.89", "432"]


def test_some_checks_failed():
    text = printed(VerificationResult("ranker", 3, (PASSED, FAILED), {}))
    assert "1 of 2 checks failed" in text
    assert "version 2 [bold]" in text  # no markup
    assert "requests of" not in text


def test_the_result_as_json():
    result = VerificationResult("ranker", 3, (PASSED, FAILED), {"gRPC": LOAD})
    content = json.loads(json.dumps(result.to_json()))
    assert (content["model"], content["version"], content["passed"]) == ("ranker", 3, False)
    assert content["checks"][1] == {"transport": "REST", "what": "label 'stable'", "expected": "version 3",
                                    "received": "version 2 [bold]", "passed": False}
    assert content["load"]["gRPC"]["p50_ms"] == 1.234
    assert VerificationResult("ranker", 3, (PASSED,), {}).passed
