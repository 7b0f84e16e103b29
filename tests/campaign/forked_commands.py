"""Runs commands, each in a fork of this process, which has imported their modules once.

Started with ``fault_layer.c`` preloaded. Reads one JSON request a line and answers each with one JSON line:

  {"call": "module:function", "arguments": [...], "folder": PATH, "mode": "COUNT", "at": 0, "output": FILE}
  {"status": exit code or minus the signal, "operations": n, "writes": n}

``call`` is called with the arguments. The faults affect operations below ``folder``. Standard output and error of the
command go to ``output``. The counts are 0 if the command did not come to its end. A process that should have been
killed but had fewer operations is killed after the last one.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import traceback

MODES = {"OFF": 0, "COUNT": 1, "KILL": 2, "FULL": 3}


def main(*modules):
    """Import the modules, then serve requests until standard input ends."""
    for module in modules:
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def run(request):
    """Run one request in a fork and wait for it."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        child(request, writer)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        counts = pipe.read().split() or (0, 0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {"status": status, "operations": int(counts[0]), "writes": int(counts[1])}


def child(request, writer):
    """Run one request; does not return."""
    layer = ctypes.CDLL(None)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    module, _, name = request["call"].partition(":")
    layer.fault_arm(os.fsencode(request["folder"]), MODES[request["mode"]], ctypes.c_long(request["at"]))
    code = exit_code(getattr(importlib.import_module(module), name), request["arguments"])
    if request["mode"] == "KILL":
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(writer, f"{layer.fault_operations()} {layer.fault_writes()}".encode())
    os._exit(code)


def exit_code(function, arguments):
    """Call a function; the exit code that Python would end with."""
    try:
        function(*arguments)
        code = 0
    except SystemExit as finished:
        code = finished.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def command(*arguments):
    """The program with these arguments."""
    from tfrs_pretrain.cli import main as program

    sys.argv = ["tfrs-pretrain", *arguments]
    program()


if __name__ == "__main__":
    main(*sys.argv[1:])
