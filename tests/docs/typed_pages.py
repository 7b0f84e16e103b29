"""Types the files and commands of a documentation page into an empty folder, exactly as shown."""

import os
import re
import subprocess
import sys
import textwrap

from lean_processes import python_path

BLOCK = re.compile(r'^(?:<!-- (not tested): .* -->\n)?```(\w+)(?: title="([^"]+)")?\n(.*?)^```$',
                   re.MULTILINE | re.DOTALL)
# One process for all `tfrs-pretrain` lines: TensorFlow loads once, not for each. A line that ends in & is a server,
# which is waited for until it says that it listens.
SHELL = textwrap.dedent("""
    import runpy, shlex, subprocess, sys
    import faster_beam
    from tfrs_pretrain.cli import app
    faster_beam.install()
    servers = []

    def run(words):
        if words[-1] == "&":
            main = "from tfrs_pretrain.cli import main; main()"
            started = [sys.executable, "-c", main, *words[1:-1]]
            servers.append(subprocess.Popen(started, stdout=subprocess.PIPE, text=True))
            print(servers[-1].stdout.readline())
        elif words[0] == "kill":
            servers.pop().terminate()
        elif words[0] == "tfrs-pretrain":
            app(words[1:], standalone_mode=False)
        elif words[:2] == ["python", "-m"]:
            sys.argv[1:] = words[3:]
            runpy.run_module(words[2], run_name="__main__")
        else:
            assert words[0] == "python", words
            subprocess.run([sys.executable, *words[1:]], check=True)

    try:
        for line in open("typed.txt").read().splitlines():
            print(f"$ {line}", flush=True)
            try:
                run(shlex.split(line))
            except SystemExit as end:
                assert not end.code, end.code
        print("every line has run")
    finally:
        for server in servers:
            server.kill()
""")


def blocks(text):
    """Returns (language, file to save it in or empty, text) of every tested block, in order."""
    return [block for skipped, *block in BLOCK.findall(text) if not skipped]


def type_page(text, folder, ports=(), timeout=1200):
    """Saves the files of a page in a folder and runs its commands there.

    Args:
      text: the page, or a part of it.
      folder: working folder.
      ports: (port on the page, port to use) pairs.
      timeout: maximum seconds of all commands.

    Returns:
      The output of the commands.
    """
    lines = []
    for language, title, content in blocks(text):
        if title:
            (folder / title).parent.mkdir(exist_ok=True)
            with (folder / title).open("a") as file:  # pieces of a file follow one another
                file.write(content)
        elif language == "sh":
            lines += content.replace("\\\n", " ").splitlines()
    typed = "\n".join(lines)
    for port, free in ports:
        assert port in typed
        typed = typed.replace(port, str(free))
    (folder / "typed.txt").write_text(typed)
    done = subprocess.run([sys.executable, "-c", SHELL], cwd=folder, capture_output=True, text=True, timeout=timeout,
                          check=False, env=os.environ | {"COLUMNS": "120"} | python_path())
    assert "every line has run" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
