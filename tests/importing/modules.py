"""Imports the named modules and prints one line of JSON: large libraries that were loaded, variables that changed."""

import importlib
import json
import os
import sys

before = dict(os.environ)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({
    "loaded": sorted({"tensorflow", "keras", "tf_keras", "apache_beam"} & sys.modules.keys()),
    "changed": sorted(name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)),
}))
