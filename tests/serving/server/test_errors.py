"""Exceptions as status errors."""

import grpc
import pytest
import tensorflow as tf

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.serving.client.errors import HTTP_STATUS
from tfrs_pretrain.serving.server.errors import _CODES, MAX_MESSAGE_LENGTH, StatusError, translated_errors


@pytest.mark.parametrize(("error", "code", "message"), [
    (tf.errors.InvalidArgumentError(None, None, "bad"), "INVALID_ARGUMENT", "bad"),
    (tf.errors.ResourceExhaustedError(None, None, "full"), "RESOURCE_EXHAUSTED", "full"),
    (tf.errors.DataLossError(None, None, "lost"), "DATA_LOSS", "lost"),
    (UserError("no such version"), "FAILED_PRECONDITION", "no such version"),
    (MemoryError(), "RESOURCE_EXHAUSTED", "out of memory"), (KeyError("x"), "INTERNAL", "KeyError: 'x'"),
    (StatusError("NOT_FOUND", "gone"), "NOT_FOUND", "gone")])
def test_every_exception_gets_its_code(error, code, message):
    with pytest.raises(StatusError) as caught, translated_errors():
        raise error
    assert (caught.value.code, caught.value.message) == (code, message)


def test_an_interrupt_is_no_error_of_a_request():
    with pytest.raises(KeyboardInterrupt), translated_errors():
        raise KeyboardInterrupt


def test_messages_are_one_short_line():
    error = StatusError("INTERNAL", "a\n\tb " + "x" * 5000)
    assert error.message.startswith("a b xxx")
    assert len(error.message) == MAX_MESSAGE_LENGTH


def test_numbers_are_grpcs():
    for code in grpc.StatusCode:
        assert StatusError(code.name, "").number == code.value[0]
    assert set(_CODES) - {"OK"} == set(HTTP_STATUS)
