# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every finding that a plan can hold, once: docs/findings.md is written from it, too."""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.plugin_utils import (
    finding_kinds_host,
    finding_kinds_traffic,
    finding_kinds_traps,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import Kind
from ansible_collections.wpward.wordpress.plugins.plugin_utils.thresholds import THRESHOLDS

KINDS: tuple[Kind, ...] = (
    *finding_kinds_traffic.KINDS,
    *finding_kinds_host.KINDS,
    *finding_kinds_traps.KINDS,
)
BY_ID = {kind.id: kind for kind in KINDS}
TRAPS = tuple(kind.id for kind in finding_kinds_traps.KINDS)

_LANGUAGES = (("shell", "sh"), ("nginx", "nginx"), ("httpd", "apache"))


def remedies_in_words(kind: Kind) -> str:
    """Which roles a finding calls for."""
    if not kind.remedies:
        return "It calls for no remedy."
    return f"It calls for {', '.join(f'`{role}`' for role in kind.remedies)}."


def markdown() -> str:
    """The catalogue as the body of docs/findings.md."""
    lines = [
        "# Findings",
        "",
        "What the filter `wpward.wordpress.plan` can find on a host, what it means, what this "
        "collection does about it and how to do it by hand. A finding's severity can be other "
        "than its usual one: an attack that is refused already is less, one under which the host "
        "breaks down is more.",
        "",
        "| finding | usual severity | |",
        "|---|---|---|",
        *(f"| [{kind.id}](#{kind.id}) | {kind.severity} | {kind.title} |" for kind in KINDS),
        "",
    ]
    for kind in KINDS:
        lines += [f"## {kind.id}", "", f"{kind.title}. Usual severity: {kind.severity}.", ""]
        lines += [f"**What it means.** {kind.meaning}", ""]
        lines += [f"**What we do.** {kind.action} {remedies_in_words(kind)}", ""]
        lines += [f"**By hand.** {kind.by_hand}", ""]
        for name, language in _LANGUAGES:
            text = getattr(kind, name)
            if text:
                lines += [f"```{language}", text, "```", ""]
    lines += [
        "# Thresholds",
        "",
        "Where the plan draws its lines; the filter's option `thresholds` moves them.",
        "",
        "| threshold | default | unit | why |",
        "|---|---|---|---|",
        *(f"| `{one.name}` | {one.default} | {one.unit} | {one.why} |" for one in THRESHOLDS),
        "",
    ]
    return "\n".join(lines)
