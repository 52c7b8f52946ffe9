"""Which lines of a bash script can be executed: found by the grammar of tree-sitter-bash.

Bash tells its DEBUG trap the line on which a simple command, `[[`, `((`, `for`, `case` or `select` begins; of one that
goes over several lines sometimes the last, and always that one for what is in a `$(...)`. So a line that bash tells
belongs to the innermost statement around it, and what is in a substitution is part of the statement that it is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

_SIMPLE = frozenset({"command", "declaration_command", "unset_command", "test_command", "variable_assignment",
                     "variable_assignments"})
_WITH_BODY = {"for_statement": "do_group", "c_style_for_statement": "do_group", "case_statement": "case_item"}
_OPAQUE = frozenset({"command_substitution", "process_substitution", "heredoc_redirect", "file_redirect"})
EXCLUDED = re.compile(rb"#\s*pragma:\s*no cover")


@dataclass(frozen=True)
class BashLines:
    """The statements of one script, from its text."""

    text: bytes

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """First and last line of each statement, in order; lines count from 1."""
        return tuple(sorted(set(_statements(_parse(self.text)))))

    @property
    def statements(self) -> frozenset[int]:
        """Lines on which a statement begins."""
        return frozenset(first for first, _ in self.spans)

    @property
    def excluded(self) -> frozenset[int]:
        """Of these, the ones that say `# pragma: no cover`."""
        lines = self.text.split(b"\n")
        return frozenset(first for first in self.statements if EXCLUDED.search(lines[first - 1]))

    def executed(self, told: Iterable[int]) -> frozenset[int]:
        """Lines of statements that were executed, from lines that bash told."""
        return frozenset(first for line in told if (first := self._statement_at(line)))

    def _statement_at(self, line: int) -> int:
        return max((first for first, last in self.spans if first <= line <= last), default=0)


def _parse(text: bytes) -> Node:
    import tree_sitter
    import tree_sitter_bash

    language = tree_sitter.Language(tree_sitter_bash.language())
    return tree_sitter.Parser(language).parse(text).root_node


def _statements(node: Node) -> Iterator[tuple[int, int]]:
    first, last = node.start_point[0] + 1, node.end_point[0] + 1
    if node.type in _OPAQUE:
        return
    if node.type in _SIMPLE or _is_arithmetic(node) or _is_bare_redirection(node):
        yield first, last
        return
    if node.type in _WITH_BODY:
        body = [child.start_point[0] + 1 for child in node.children if child.type == _WITH_BODY[node.type]]
        yield first, max(first, min(body, default=last) - (node.type == "case_statement"))
        wanted = [child for child in node.children if child.type in ("do_group", "case_item")]
    else:
        wanted = node.children
    for child in wanted:
        yield from _statements(child)


def _is_arithmetic(node: Node) -> bool:
    return node.type == "compound_statement" and bool(node.children) and node.children[0].type == "(("


def _is_bare_redirection(node: Node) -> bool:
    return node.type == "redirected_statement" and all(child.type in _OPAQUE for child in node.children)
