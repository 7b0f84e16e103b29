"""Errors for users of TENSORFLOW_MODEL_SERVER whose server does not start."""

import live_servers
import pytest


def test_a_missing_binary_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(live_servers, "BINARY", "/absent/server")
    with (pytest.raises(AssertionError, match="'/absent/server', which is not a program"),
          live_servers.live_server(tmp_path, tmp_path, versions=[1])):
        pass


def test_a_server_that_dies_at_its_start_shows_its_log(tmp_path, monkeypatch):
    binary = tmp_path / "server"
    binary.write_text("#!/bin/sh\necho unknown flag: $1 >&2\nexit 7\n")
    binary.chmod(0o755)
    monkeypatch.setattr(live_servers, "BINARY", str(binary))
    with (pytest.raises(AssertionError, match=r"ended with 7: unknown flag: --port=\d+"),
          live_servers.live_server(tmp_path, tmp_path, versions=[1])):
        pass
