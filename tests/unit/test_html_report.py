# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page: what it says first, what is left of hostile text in it, and what it survives."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import (
    file_name,
    render,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_host import (
    OUTCOMES,
    host_view,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    moment,
    number,
    seconds_of,
    share,
    size,
    span,
    visible,
)
from fixtures import report_documents as samples
from hypothesis import given, settings
from hypothesis import strategies as st

WRITTEN = 1795302000
HOSTILE = (
    "\"'></style></title></svg></details><script>alert(1)</script>"
    "<img src=http://evil.example/x onerror=alert(1)><a href='javascript:alert(1)'>{{ 7 * 7 }}"
)
_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "article"),
    *("h1", "h2", "h3", "h4", "p", "div", "span", "strong", "b", "i", "br", "code", "pre", "time"),
    *("ul", "ol", "li", "dl", "dt", "dd", "a", "details", "summary", "figure", "figcaption"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "path"),
}


class Page(HTMLParser):
    """Every tag with its attributes, and the text in the order of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "an element ends that another one began"

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(*documents: Any, **options: Any) -> Page:
    return Page(render(documents, title="run", written=WRITTEN, **options))


def assert_inert(page: Page) -> None:
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag in _TAGS
        assert not {name for name in attributes if name.startswith("on")}
        assert not {"src", "srcset", "action", "xlink:href", "formaction"} & set(attributes)
        if "href" in attributes:
            assert re.match(r"#host-\d+$|\./[^/]+\.json$", attributes["href"])


def every_string(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            change(key) if key[:1].isdigit() or "." in key else key: every_string(one, change)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [every_string(one, change) for one in value]
    return value


_WORDS = {"attack", "probing", "aftermath", "quiet", "critical", "high", "confirmed", "rolled_back"}


@pytest.mark.parametrize("spare", ["nothing", "what the page depends on"])
def test_hostile_text_comes_out_inert(spare: str) -> None:
    def change(text: str) -> str:
        known = text in _WORDS or seconds_of(text) is not None or text in (samples.RUN,)
        return text if spare != "nothing" and known else text + HOSTILE

    html = render(
        [every_string(one, change) for one in samples.fleet()],
        title="run",
        written=WRITTEN,
        absent=[("web4" + HOSTILE, "gone" + HOSTILE)],
    )
    page = Page(html)
    assert_inert(page)
    assert html.count("&lt;script&gt;alert(1)") > 100
    assert "{{ 7 * 7 }}" in page.text
    assert ("figure" in {tag for tag, _ in page.tags}) == (spare != "nothing")


@pytest.mark.parametrize(
    "text", ["\u202egpj.exe", "a\x1b[31mb", "a\0b", "a\nb", "\u2066x", "\ud800"]
)
def test_nothing_in_a_text_is_hidden(text: str) -> None:
    assert visible(text).isprintable()
    document = samples.quiet()
    document["evidence"]["sites"][0]["path"] = text
    assert visible(text) in page_of(document).text


def test_the_page_needs_nothing_else_and_forbids_the_rest() -> None:
    html = render(samples.fleet(), title="run", written=WRITTEN)
    policy = next(
        attributes["content"]
        for tag, attributes in Page(html).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|expression|https?:", style)


def test_who_needs_somebody_comes_first_and_the_verdict_before_the_rest() -> None:
    page = page_of(*samples.fleet(), absent=[("web4.example", "It could not be reached.")])
    order = [page.text.index(f"web{n}.example") for n in (2, 1, 3, 4)]
    assert order == sorted(order)
    assert "It could not be reached." in page.text
    attacked = page_of(samples.attacked()).text
    parts = (
        "Hardened, proven and confirmed",
        "XML-RPC is being flooded",
        "Remedies, in their order",
        "The requests over time",
        "Who asked",
        "What was changed",
        "The proof",
        "Everything else",
    )
    positions = [attacked.index(part) for part in parts]
    assert positions == sorted(positions)


def test_the_page_says_how_to_undo_what_was_done_only() -> None:
    done = page_of(samples.attacked()).text
    assert f"--limit web1.example -e wpward_run={samples.RUN} -e wpward_role=endpoints" in done
    assert "endpoints: applied in this run." in done
    undone = page_of(samples.aftermath()).text
    assert "rollback.yml" not in undone
    assert "What was changed, and put back" in undone
    assert "database: by hand." in undone


def test_the_page_says_what_is_estimated_and_whose_addresses_they_are() -> None:
    text = page_of(samples.attacked()).text
    assert "≥ 62,738" in text
    assert "about 3,120 clients" in text
    assert "the number of different clients is estimated" in text
    assert "true of 4, false of 62,738" in text
    text = page_of(samples.aftermath()).text
    assert "came through cloudfront" in text
    assert "only its newest part was read" in text
    assert "Rows of database tables are the server's own estimates" in text
    assert "estimated" not in page_of(samples.quiet()).text.replace("missing or estimated", "")


def test_events_stand_beside_the_requests() -> None:
    text = page_of(samples.attacked()).text
    events = text[text.index("21 Nov 22:12:10") :]
    assert "php-fpm reached pm.max_children, 14 times" in events
    assert events.index("worker_connections") < events.index("this host was probed")
    assert events.index("this host was probed") < events.index("proven and confirmed")


def test_a_short_attack_in_a_long_window_is_shown_closer() -> None:
    figures = [tag for tag, _ in page_of(samples.aftermath()).tags].count("figure")
    assert figures == 2
    assert [tag for tag, _ in page_of(samples.attacked()).tags].count("figure") == 1


def test_a_lane_with_few_requests_does_not_look_like_a_flood() -> None:
    plots = [
        attributes["class"] for tag, attributes in page_of(samples.attacked()).tags if tag == "svg"
    ]
    assert [plot for plot in plots if plot != "lane small"] == ["lane", "lane minor"]


def small_plots(page: Page) -> list[str]:
    return [
        attributes["aria-label"]
        for tag, attributes in page.tags
        if tag == "svg" and "small" in attributes["class"]
    ]


def test_what_the_recorder_saw_stands_under_the_requests() -> None:
    page = page_of(samples.attacked())
    assert small_plots(page) == [
        "processes 112 to 241; web workers 18 to 150",
        "memory available 48 MiB to 1.1 GiB; swap used 19 MiB to 992 MiB",
        "CPU busy 19 % to 97 %; I/O busy 2.0 % to 92 %",
    ]
    # One axis for all: the words of its ticks stand once, and the events cross every plot.
    figure = page.text[page.text.index("and what they did to the host") :]
    assert figure.index("author_by_id") < figure.index("processes 112") < figure.index("22:20")
    assert "scale to 2.0 GiB" in figure
    assert "Recorded by atop every 1 min." in figure
    assert "Nothing was recorded 22:33 to 22:42." in figure
    curves = [attributes for tag, attributes in page.tags if attributes.get("class") == "gap"]
    assert len(curves) == 3
    for tag, attributes in page.tags:
        if tag == "path" and "curve" in attributes["class"]:
            assert attributes["d"].count("M") == 2


def test_a_host_without_a_recorder_says_so_in_one_line() -> None:
    sentence = "No recorder ran: nothing tells how processes, memory and I/O were at the time."
    assert page_of(samples.aftermath()).text.count(sentence) == 1
    document = samples.attacked()
    assert sentence not in page_of(document).text
    document["evidence"]["recorder"] = {"program": "atop", "active": True, "samples": []}
    assert "atop runs, but has recorded nothing of this time yet." in page_of(document).text
    for nothing in (None, "x"):
        document["evidence"]["recorder"] = nothing
        page = page_of(document)
        assert not small_plots(page) and "No recorder" not in page.text
    del document["evidence"]["recorder"]
    assert "No recorder" not in page_of(document).text


def test_what_was_recorded_is_shown_without_any_request_as_well() -> None:
    document = samples.quiet()
    document["evidence"]["recorder"] = samples.attacked()["evidence"]["recorder"]
    page = page_of(document)
    assert "The host over time" in page.text
    assert len(small_plots(page)) == 3


def test_a_day_of_samples_keeps_its_worst_moment_and_few_points() -> None:
    document = samples.quiet()
    start = seconds_of("2026-11-21T00:00:00Z") or 0
    document["evidence"]["recorder"] = {
        "program": "sysstat",
        "active": True,
        "interval": 60,
        "samples": [
            {
                "at": samples.iso(start + 60 * n),
                "processes": 900 if n == 701 else 100,
                "memory_available": 0 if n == 701 else 4 * 1024**3,
            }
            for n in range(1440)
        ],
    }
    page = page_of(document)
    assert small_plots(page) == ["processes 100 to 900", "memory available 0 B to 4.0 GiB"]
    assert "each point is the worst of 3 samples" in page.text
    processes, memory = [
        attributes["d"]
        for tag, attributes in page.tags
        if tag == "path" and "curve" in attributes["class"]
    ]
    assert processes.count("L") < 500
    assert re.search(r" 0\.0(L|$)", processes)
    assert re.search(r" 100\.0(L|$)", memory)


def test_the_arithmetic_of_the_workers_can_be_read_line_by_line() -> None:
    text = page_of(samples.attacked()).text
    part = " ".join(text[text.index("Workers and open files that fit") :].split())
    for words in (
        "minus the system's reserve -512 MiB 25 %",
        "leaves for workers 1.1 GiB",
        "pm.max_children of pool www of php-fpm 40 → 16 61 MiB 40 workers of 61 MiB would take",
        "worker_processes of nginx auto, kept",
        "nginx 1,024 to 8,192 → 16,384 nginx.service",
        "php-fpm 1,024 → 16,384",
        "mariadb 20,000, kept",
        "all workers together take about 977 MiB",
    ):
        assert words in part
    undone = {**samples.attacked(), "outcome": "rolled_back"}
    assert "Workers and open files that would fit" in page_of(undone).text


def test_what_was_done_to_log_tables_is_told_row_by_row() -> None:
    text = page_of(samples.attacked()).text
    part = " ".join(text[text.index("Log tables in the database") :].split())
    assert "blog.wp_aiowps_audit_log" in part
    assert "503,112 created 380,200 100,000 312 ms 51 s Its time was over." in part
    assert "90,112 not made 0 60,000" in part
    assert "An index needs up to 90 MiB in /var/lib/mysql. A statement of wp had been" in part
    assert "The index takes about 3.1 s. The purge takes about 31 s." in part


def test_what_is_recorded_from_now_on_is_told_with_the_disk_it_takes() -> None:
    text = page_of(samples.attacked()).text
    part = " ".join(text[text.index("What is recorded and kept from now on") :].split())
    assert (
        "atop takes a sample every 1 min and keeps 28 days: about 315 MiB of the 3.0 GiB that / has"
        in part
    )
    assert "/etc/logrotate.d/nginx /var/log/nginx/*.log 14 → 30 610 MiB" in part
    document = samples.attacked()
    document["recorder_plan"].update(set_up=False, estimates={"recorder": None, "logs": []})
    assert "recorded and kept" not in page_of(document).text


def test_what_no_rollback_takes_back_has_no_command_for_it() -> None:
    document = samples.attacked()
    document["plan"]["remedies"].append({"role": "database", "automated": True, "findings": []})
    document["remedies"]["database"] = {"changed": True}
    text = page_of(document).text
    assert "database: applied in this run." in text
    assert "wpward_role=database" not in text


def test_a_role_that_did_not_run_has_no_part_of_the_page() -> None:
    document = samples.attacked()
    for name in ("capacity_plan", "database_tables", "recorder_plan"):
        document[name] = None
    text = page_of(document).text
    assert "Workers and open files" not in text
    assert "Log tables in the database" not in text
    assert "recorded and kept" not in text


def test_failed_checks_come_before_what_was_asked() -> None:
    text = page_of(samples.aftermath()).text
    assert "380 checks hold, 2 do not" in text
    assert "POST /xmlrpc.php/index.php HTTP/1.1" in text
    assert "not reached: timed out after 10 s" in text


def test_first_aid_stands_beside_the_checks_and_is_none_of_them() -> None:
    document = samples.aftermath()
    document["checks"]["first_aid"] = "xmlrpc: held by first aid until <soon>"
    text = page_of(document).text
    assert "380 checks hold, 2 do not" in text
    assert "xmlrpc: held by first aid until <soon>" in text


def test_every_table_names_its_columns_and_every_plot_has_words() -> None:
    page = page_of(*samples.fleet())
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"] in ("col", "row")


def test_hosts_that_differ_in_odd_characters_have_files_of_their_own() -> None:
    hosts = ["a/b", "a%2Fb", "..", ".", "2001:db8::1", "web 1", "", "a\0b"]
    names = [file_name(host) for host in hosts]
    assert len(set(names)) == len(hosts)
    assert not [name for name in names if "/" in name or "\0" in name or name.startswith(".")]
    document = {**samples.quiet(), "host": "../../x?y#z"}
    assert_inert(page_of(document))


def test_a_document_that_cannot_be_shown_costs_its_own_section_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = samples.attacked()
    monkeypatch.setattr(
        "ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_host.timeline",
        lambda document: document["x"] if document.get("evidence") else None,
    )
    page = page_of(broken, {"host": "web9.example", "outcome": "probed"})
    assert "The document of this host cannot be shown (KeyError)" in page.text
    assert "web9.example" in page.text


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value[:2])
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, one in children for place in _places(one, (*path, key)))]


_PLACES = [place for place in _places(samples.attacked()) if place and place != ("host",)]


@settings(max_examples=50, deadline=None)
@given(place=st.sampled_from(_PLACES), value=_JSON)
def test_no_value_of_a_wrong_type_takes_a_section_down(place: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(samples.attacked())
    at: Any = document
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    page = page_of(document)
    assert_inert(page)
    assert "cannot be shown" not in page.text


def test_a_wrong_type_is_shown_as_little_as_nothing() -> None:
    document = copy.deepcopy(samples.attacked())
    for place in _PLACES:
        at: Any = document
        for key in place[:-1]:
            at = at[key]
        right = at[place[-1]]
        # A number where a list or a text belongs, a text where a number does.
        for value in (None, 7 if isinstance(right, (str, list, dict)) else "x", {"x": [7]}):
            at[place[-1]] = value
            try:
                host_view(document, "host-1", "")
            except Exception as error:
                raise AssertionError(f"{value!r} at {place}") from error
        at[place[-1]] = right
    assert document == samples.attacked()


def test_every_outcome_of_the_summary_has_words_on_the_page() -> None:
    role = Path(__file__).resolve().parents[2] / "roles" / "report" / "templates"
    outcomes = re.findall(r"^  '(\w+)': '", (role / "summary.txt.j2").read_text(), re.MULTILINE)
    assert len(outcomes) > 9
    assert set(outcomes) <= set(OUTCOMES)


def test_values_as_people_write_them() -> None:
    assert [size(n) for n in (0, 1023, 2048, 5_412_333_818, None)] == [
        *("0 B", "1023 B", "2.0 KiB", "5.0 GiB", "\N{EN DASH}"),
    ]
    assert [span(n) for n in (0, 1.25, 61, 7200, 90061)] == [
        *("0 s", "1.2 s", "1 min 1 s", "2 h", "1 d 1 h"),
    ]
    assert [share(*n) for n in ((1, 3000), (1, 3), (2999, 3000), (3, 3), (0, 3), (1, 0))] == [
        *("under 0.1 %", "33 %", "over 99 %", "100 %", "0 %", ""),
    ]
    assert moment("2026-11-21T22:10:00Z") == "21 Nov 22:10:00"
    assert moment("whenever") == "whenever"
    assert [number(n) for n in (True, float("nan"), float("inf"), "1", 2)] == [None] * 4 + [2]
