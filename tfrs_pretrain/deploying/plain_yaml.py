"""YAML without anchors: readers of job descriptions refuse or confuse them."""

from __future__ import annotations

from typing import Any

import yaml


def plain_yaml(content: Any) -> str:
    """Return the YAML of JSON values, keys in their order, repeated values written out."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
