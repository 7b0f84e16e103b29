"""Program: runs commands of ``tfrs-pretrain`` in one process, without some modules; prints one JSON.

The argument is a JSON object: ``blocked``, names of modules whose import fails; ``commands``, lists of arguments;
``names``, whether to use every public name of the package. The output has, for each command, [exit code, errors].
"""

import contextlib
import io
import json
import re
import sys
from importlib.machinery import PathFinder

wanted = json.loads(sys.argv[1])


class Absent(PathFinder):
    """Finds everything except the blocked modules."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.partition(".")[0] in wanted.get("blocked", ()):
            return None
        return super().find_spec(fullname, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Absent

from tfrs_pretrain.cli import main  # noqa: E402
from tfrs_pretrain.progress import error_console  # noqa: E402


def run(arguments):
    sys.argv = ["tfrs-pretrain", *arguments]
    errors = io.StringIO()
    error_console.file = errors
    try:
        with contextlib.redirect_stdout(sys.stderr), contextlib.redirect_stderr(errors):
            main()
    except SystemExit as end:
        return [end.code or 0, re.sub(r"\x1b\[[0-9;]*m", "", errors.getvalue())]
    return [0, errors.getvalue()]


def used(name):
    import tfrs_pretrain

    try:
        getattr(tfrs_pretrain, name)
    except ImportError as error:
        return f"{type(error).__name__}: {error}"
    return None


output = {"commands": [run(arguments) for arguments in wanted["commands"]]}
if wanted.get("names"):
    import tfrs_pretrain

    output["names"] = {name: used(name) for name in tfrs_pretrain.__all__}
print(json.dumps(output))
