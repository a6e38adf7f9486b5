# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the collection's playbooks are, installed or in a checkout."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


class CollectionNotFound(Exception):
    """The collection wpward.wordpress cannot be imported from this Python."""


def playbook(name: str) -> Path:
    """Return the path of a playbook of the collection.

    Args:
        name: name without suffix, such as ``harden``.

    Raises:
        CollectionNotFound: neither the wheel nor an editable install provides the collection.
    """
    for root in _collection_roots():
        # In a checkout the collection folder holds links to plugins/ and roles/ only, so that no
        # link points above itself; the playbooks stand beside what the links point to.
        for folder in (root, (root / "roles").resolve().parent):
            path = folder / "playbooks" / f"{name}.yml"
            if path.is_file():
                return path
    raise CollectionNotFound(
        f"the playbook {name}.yml of wpward.wordpress was not found beside this program; "
        "install it again with: pip install wpward"
    )


def _collection_roots() -> list[Path]:
    try:
        spec = find_spec("ansible_collections.wpward.wordpress")
    except ModuleNotFoundError:
        return []
    if spec is None or spec.submodule_search_locations is None:
        return []
    return [Path(location) for location in spec.submodule_search_locations]
