# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rollback program as one plain file, put together from the journal's own modules."""

from __future__ import annotations

import ast
import functools
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    journal,
    journal_base,
    journal_command,
    journal_files,
    journal_lock,
    journal_program,
    journal_runs,
    journal_timer,
    journal_transaction,
)

# Every module stands behind those it needs.
PARTS: tuple[Any, ...] = (
    journal_base,
    journal_command,
    journal_files,
    journal_lock,
    journal_timer,
    journal_transaction,
    journal_runs,
    journal,
    journal_program,
)


@functools.lru_cache(maxsize=None)
def program_source() -> str:
    """Return the source of a program that needs nothing but the standard library.

    One plain file, because in an emergency somebody may have to read it on the host. The parts'
    imports of one another go, for their names are all in that file then.
    """
    parts = ["from __future__ import annotations\n"]
    for module in PARTS:
        # The loader, since Ansible sends the modules to the host inside an archive.
        source = str(module.__loader__.get_source(module.__name__))
        lines = source.splitlines(keepends=True)
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom) and _is_own(node):
                first, last = node.lineno - 1, int(node.end_lineno or node.lineno)
                lines[first:last] = ["\n"] * (last - first)
        parts.append("".join(lines))
    return "\n\n".join(parts)


def _is_own(node: ast.ImportFrom) -> bool:
    return node.module == "__future__" or str(node.module).startswith("ansible_collections.")
