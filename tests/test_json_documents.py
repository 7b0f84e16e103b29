"""JSON files with a digest of their content: every flipped bit is refused or changes nothing."""

import json

import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.json_documents import check_document, document_text, parse_document, without_digest

CONTENT = {"seconds": 1.5, "epochs": [{"loss": 0.1, "epoch": 1}], "name": "größe", "none": None, "nan": float("nan")}


def test_the_content_is_read_back_without_the_digest():
    text = document_text(CONTENT)
    assert repr(parse_document(text, "a.json")) == repr(CONTENT)  # in the same order
    assert set(json.loads(text)) == {*CONTENT, "content_digest", "digest_algorithm"}
    assert document_text(json.loads(text)) == text  # an old digest is replaced
    assert without_digest(json.loads(document_text({"a": (1, 2)}))) == {"a": [1, 2]}


def test_a_flip_of_any_bit_is_refused_or_changes_nothing():
    text = document_text(CONTENT).encode()
    for position in range(8 * len(text)):
        damaged = bytearray(text)
        damaged[position // 8] ^= 1 << position % 8
        try:
            found = parse_document(bytes(damaged), "a.json")
        except UserError as error:
            assert "'a.json'" in str(error)
            assert "\n" not in str(error)
        else:
            assert repr(found) == repr(parse_document(text, "a.json")), damaged


@pytest.mark.parametrize("key", ["content_digest", "digest_algorithm"])
def test_one_of_the_two_keys_is_not_enough(key):
    document = json.loads(document_text({"a": 1}))
    del document[key]
    with pytest.raises(UserError, match="expected content with digest"):
        check_document(document, "a.json")


def test_a_file_of_an_older_version_has_no_digest():
    assert parse_document('{"a": 1}', "a.json") == {"a": 1}


@pytest.mark.parametrize("text", ["", "[1]", "3", b"\xff\xfe"])
def test_the_message_says_what_to_do(text):
    with pytest.raises(UserError, match=r"^'a\.json' .*: restore a copy, or remove it$"):
        parse_document(text, "a.json", "remove it")
