# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a run as one HTML page that needs nothing else: no network, no script.

What a host put into its document is hostile text. It is escaped wherever it stands, characters
that could hide something are made visible, and the page's own policy forbids everything but its
style sheet. A document that cannot be shown costs its own section, never the page.
"""

from __future__ import annotations

import urllib.parse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_host import (
    host_view,
    urgency,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    clock,
    visible,
)
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_TEMPLATES = Path(__file__).with_name("html_report_templates")


def _finalize(value: object) -> object:
    """Markup of the templates' own as it is, everything else as visible text."""
    return value if isinstance(value, Markup) else visible(value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The style sheet is the only text that goes into the page as it is.
    environment.globals["style"] = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))
    return environment


def file_name(host: str) -> str:
    """The name of a host's JSON document, whatever characters the host's name has."""
    name = urllib.parse.quote(host, safe=" !#$&'()+,;=@[]^{}~:") or "host"
    return f"{'%2E' + name[1:] if name.startswith('.') else name}.json"


def _host_section(
    environment: Environment, document: Mapping[str, Any], number: int, linked: bool
) -> tuple[dict[str, Any], Markup]:
    anchor = f"host-{number}"
    name = str(document.get("host"))
    file = urllib.parse.quote(file_name(name)) if linked else ""
    try:
        view = host_view(document, anchor, file)
        return view, Markup(environment.get_template("host.html.j2").render(host=view))
    except Exception as error:
        # Whatever a host managed to put into its document must not hide the other hosts.
        broken = {
            "host": name,
            "run": document.get("run"),
            "outcome": document.get("outcome"),
            "failure": "The document of this host cannot be shown "
            f"({type(error).__name__}); it is saved as {file_name(name)}.",
        }
        view = host_view(broken, anchor, file)
        return view, Markup(environment.get_template("host.html.j2").render(host=view))


def _absent(host: str, reason: str) -> dict[str, Any]:
    return {"host": host, "outcome": "unreported", "failure": reason}


def render(
    documents: Sequence[Mapping[str, Any]],
    *,
    title: str,
    written: float,
    absent: Iterable[tuple[str, str]] = (),
    linked: bool = True,
) -> str:
    """The whole page.

    Args:
        documents: one document per host.
        title: what the page is about, such as the run.
        written: when, in seconds since the epoch.
        absent: hosts without a document, each with the reason in a sentence.
        linked: whether each host's JSON lies beside the page, under ``file_name``.
    """
    environment = _environment()
    shown = sorted(documents, key=urgency)
    missing = [_absent(host, reason) for host, reason in absent]
    sections = [
        _host_section(environment, document, number, linked and document not in missing)
        for number, document in enumerate([*shown, *missing], start=1)
    ]
    views = [view for view, _section in sections]
    verdicts = Counter((view["verdict_tone"], view["verdict"]) for view in views)
    outcomes = Counter((view["outcome_tone"], view["outcome"]) for view in views)
    return environment.get_template("report.html.j2").render(
        title=title,
        written=clock(written, "%-d %B %Y, %H:%M:%S UTC"),
        hosts=views,
        tallies=[
            [(tone, words, hosts) for (tone, words), hosts in counted.items()]
            for counted in (verdicts, outcomes)
        ],
        sections=[section for _view, section in sections],
    )
