"""Standard error of imports: hidden while they succeed, shown when they fail."""

import os
import sys
from pathlib import Path

import pytest

from tfrs_pretrain.quiet import quiet_imports

# What a library writes to the descriptor itself, below Python's sys.stderr.
CHATTY = "import os\nos.write(2, b'started up\\n')\nANSWER = 42\n"


def open_descriptors() -> int:
    """Number of open file descriptors; 0 on systems that do not list them."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a module which imports find."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_messages_of_a_successful_import_are_hidden(package, capfd):
    package("chatty_library", CHATTY)
    with quiet_imports():
        import chatty_library
    assert chatty_library.ANSWER == 42
    assert capfd.readouterr().err == ""


def test_messages_of_a_failed_import_are_shown(package, capfd):
    package("broken_library", CHATTY + "import no_such_module_anywhere\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"), quiet_imports():
        import broken_library  # noqa: F401
    assert capfd.readouterr().err == "started up\n"


@pytest.mark.parametrize("fails", [False, True])
def test_standard_error_is_restored(fails, capfd):
    descriptors = open_descriptors()
    try:
        with quiet_imports():
            os.write(2, b"hidden\n")
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    capfd.readouterr()
    os.write(2, b"visible\n")
    assert capfd.readouterr().err == "visible\n"
    assert open_descriptors() == descriptors


def test_an_exit_inside_the_block_restores_it_too(capfd):
    with pytest.raises(SystemExit), quiet_imports():
        sys.exit(3)
    os.write(2, b"visible\n")
    assert capfd.readouterr().err == "visible\n"
