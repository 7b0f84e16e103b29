"""YAML text as Python values; whatever is wrong with it is one ``YAMLError`` with its line and column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 50  # of nested lists and mappings; a configuration has about 8
MAX_INT_BITS = 63  # what NumPy, Arrow and TensorFlow store; Python does not even print very long integers
MAX_VALUE_TEXT = 100  # characters of a value in a message


def parse_yaml(text: str) -> Any:
    """Parses one YAML document.

    Raises:
      yaml.YAMLError: the text is not YAML, a key occurs twice, a value does not fit its type (such as the date
        2024-02-30), or lists and mappings are nested deeper than MAX_DEPTH.
    """
    return yaml.load(text, _Loader)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also raises YAMLError where that one raises other errors or accepts repeated keys."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"lists and mappings are nested deeper than {MAX_DEPTH}",
                                       problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
            raise _unfit(node, str(error)) from error
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            raise _unfit(node, "it does not fit into 64 bits")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key in _repeated_keys(node):
            raise yaml.MarkedYAMLError(problem=f"key {key.value!r} occurs twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _repeated_keys(node: yaml.MappingNode) -> Iterator[yaml.ScalarNode]:
    seen = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                yield key
            seen.add(key.value)


def _unfit(node: yaml.Node, reason: str) -> yaml.MarkedYAMLError:
    """The error for a value that its type does not accept."""
    kind, text = node.tag.rpartition(":")[2], str(node.value)[:MAX_VALUE_TEXT]
    return yaml.MarkedYAMLError(problem=f"{text!r} is not a valid {kind} ({reason})", problem_mark=node.start_mark)
