"""SIGTERM sets a flag once; the second one, and other threads, see the usual handler."""

import os
import signal
import threading

import pytest

from tfrs_pretrain.training.termination import EXIT_CODE, graceful_sigterm


@pytest.fixture
def usual():
    """Calls of the handler that is installed outside of ``graceful_sigterm``."""
    calls = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: calls.append(number))
    yield calls
    signal.signal(signal.SIGTERM, before)


def test_the_first_signal_is_noted_and_the_second_acts_as_usual(usual):
    with graceful_sigterm() as termination:
        assert not termination.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert termination.requested
        assert usual == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert usual == [signal.SIGTERM]


def test_the_usual_handler_returns_after_the_body(usual):
    with pytest.raises(RuntimeError), graceful_sigterm():
        raise RuntimeError
    os.kill(os.getpid(), signal.SIGTERM)
    assert usual == [signal.SIGTERM]


def test_another_thread_leaves_the_handler_alone(usual):
    handlers = []

    def body():
        with graceful_sigterm() as termination:
            handlers.append((signal.getsignal(signal.SIGTERM), termination.requested))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert handlers == [(before, False)]


def test_exit_code_is_that_of_a_shell():
    assert EXIT_CODE == 143
