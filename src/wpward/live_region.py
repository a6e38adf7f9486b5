# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of a terminal that is drawn again and again, below what is printed for good."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live


def region_of(console: Console) -> Live:
    """It is drawn only when told to, and gone at the end. Standard output and standard error stay
    where they are: the verdicts belong to the former, whatever that is."""
    return Live(
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
