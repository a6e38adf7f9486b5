# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stays the same about a page, and what is different about it later.

A fingerprint is taken from two fetches of the same page. It keeps what a broken site loses: the
status, where it redirects, the media type, the title, an XML document's root, a JSON document's
top-level keys, whether the document was closed, and a hash of every distinct line of visible text
that both fetches had. What differs between the two (nonces, a rotating quote) drops out, and so
does every digit, since clocks and counters live in them.

Names and links of authors are left out on purpose: hiding them from visitors is what hardening is
for, so a page that loses only them has not changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    Exchange,
)

LINES_KEPT = 0.9
"""Share of a page's stable lines that must still be there. Other people's comments, a widget that
rotates or a plugin's footer may change between two fetches that lie minutes apart; a page that
lost a tenth of its text has lost more than that."""

MAX_LINES = 256
"""Hashes kept per page: the smallest ones, which is a random sample of the lines."""

_DIGITS = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]{0,60})")
_PHP_ERROR = re.compile(
    r"(?:<b>)?(Fatal error|Parse error|Recoverable fatal error|Warning|Notice|Deprecated)"
    r"(?:</b>)?:\s"
)
_CRITICAL = "There has been a critical error on this website"
_AUTHOR_LINK = re.compile(r"/author/|[?&]author=|(?:rel|class)=[^>]{0,80}author", re.IGNORECASE)
_AUTHOR_LINE = re.compile(r"wp-sitemap-users-|/author/", re.IGNORECASE)
_AUTHOR_KEY = re.compile(r"author|user|_links|_embedded", re.IGNORECASE)
_UNSEEN_ELEMENTS = frozenset(["script", "style"])
_AUTHOR_ELEMENTS = frozenset(["dc:creator", "author", "name"])
_AUTHOR_TEXT = 500
_JSON_DEPTH = 3
_JSON_NODES = 5000


@dataclass(frozen=True)
class Page:
    """One answer, taken apart."""

    status: int
    location: str
    media: str
    title: str
    names: tuple[str, ...]
    closed: bool
    errors: tuple[str, ...]
    empty: bool
    lines: frozenset[str]


def fingerprint(first: Exchange, second: Exchange) -> dict[str, Any]:
    """What two fetches of one page have in common, as plain data for :func:`differences`.

    Where one of them brought no whole answer there is nothing to compare with later: the result
    then has the single key ``unanswered``, one clause that says why.
    """
    for exchange in (first, second):
        if exchange.outcome != ANSWERED or not exchange.complete:
            return {"unanswered": exchange.detail}
    if first.status != second.status:
        return {"unanswered": f"it answered {first.status} and then {second.status}"}
    one, two = describe(first), describe(second)
    return {
        "status": one.status,
        "location": _common(one.location, two.location),
        "media": one.media if one.media == two.media else "",
        "title": one.title if one.title == two.title else "",
        "names": sorted(set(one.names) & set(two.names)),
        "closed": one.closed and two.closed,
        "errors": sorted(set(one.errors) | set(two.errors)),
        "empty": one.empty or two.empty,
        "lines": sorted(one.lines & two.lines)[:MAX_LINES],
    }


def differences(
    before: dict[str, Any], exchange: Exchange, lines_kept: float = LINES_KEPT
) -> list[str]:
    """Clauses that tell how ``exchange`` differs from the fingerprint ``before``; [] if it is same.

    ``lines_kept`` is the share, 0 to 1, of the fingerprint's lines that must still be there.
    """
    if exchange.outcome != ANSWERED:
        return [exchange.detail]
    after = describe(exchange)
    found = []
    if after.status != before["status"]:
        found.append(f"answers {after.status}, it was {before['status']}")
    elif before["location"] not in (None, after.location, _path(after.location)):
        was = before["location"] or "nowhere"
        found.append(f"redirects to {after.location[:200] or 'nowhere'}, it was {was}")
    if not exchange.complete:
        found.append(f"is not whole: {exchange.detail}")
    elif before["closed"] and not after.closed:
        found.append("is cut off: the end of the document is missing")
    if after.empty and not before["empty"]:
        found.append("is empty")
    new_errors = sorted(set(after.errors) - set(before["errors"]))
    if new_errors:
        found.append(f"shows an error of PHP ({', '.join(new_errors)})")
    if found:
        return found
    if before["media"] and after.media != before["media"]:
        found.append(f"is {after.media or 'of no type'}, it was {before['media']}")
    if before["title"] and after.title != before["title"]:
        found.append(f"is titled '{after.title[:80]}', it was '{before['title'][:80]}'")
    lost = sorted(set(before["names"]) - set(after.names))
    if lost:
        found.append(f"has lost {', '.join(lost[:5])}")
    wanted = len(before["lines"])
    kept = sum(1 for line in before["lines"] if line in after.lines)
    if kept < wanted * lines_kept:
        found.append(f"has kept {kept} of {wanted} lines")
    return found


def unsound(exchange: Exchange) -> str:
    """Why a page cannot be a working one, whatever it was before; "" if nothing speaks against."""
    if exchange.outcome != ANSWERED:
        return exchange.detail
    if not exchange.complete:
        return f"is not whole: {exchange.detail}"
    page = describe(exchange)
    if page.errors:
        return f"shows an error of PHP ({', '.join(page.errors)})"
    if not page.closed:
        return "is cut off: the end of the document is missing"
    return ""


def describe(exchange: Exchange) -> Page:
    """Take an answer apart. Linear in the body's length, whatever the body is."""
    text = exchange.body.decode("utf-8", "replace")
    media = exchange.header("content-type").partition(";")[0].strip().lower()
    title = _TITLE.search(text)
    start = text[:1000].lstrip("\ufeff \t\r\n").lower()
    names: tuple[str, ...] = ()
    closed = True
    if media.endswith(("/json", "+json")):
        names, closed, lines = _json(text)
    else:
        lines = _visible(text)
        if media.endswith(("/xml", "+xml")) and not start.startswith(("<!doctype html", "<html")):
            root = _ROOT.search(text)
            names = (root.group(1),) if root else ()
            closed = bool(root) and _ends_with(text, root.group(1) if root else "")
        elif "<html" in start or start.startswith("<!doctype html"):
            closed = _ends_with(text, "html")
    return Page(
        exchange.status,
        exchange.header("location"),
        media,
        _SPACE.sub(" ", _DIGITS.sub("#", title.group(1))).strip() if title else "",
        names,
        closed,
        _errors(text),
        not text.strip(),
        frozenset(_hashed(lines)),
    )


def _path(location: str) -> str:
    return location.partition("?")[0]


def _common(one: str, two: str) -> str | None:
    """What two redirects to the same page share; None where they share nothing to compare."""
    if one == two:
        return one
    return _path(one) if _path(one) == _path(two) else None


def _ends_with(text: str, element: str) -> bool:
    end = text.rstrip()
    # Caches sign below the document, in a comment or two.
    for _comment in range(5):
        if end.endswith("-->") and "<!--" in end:
            end = end[: end.rindex("<!--")].rstrip()
    return end[-len(element) - 20 :].lower().rstrip(" \t\r\n>").endswith(f"</{element.lower()}")


def _errors(text: str) -> tuple[str, ...]:
    found = {
        match.group(1)
        for match in islice(_PHP_ERROR.finditer(text), 50)
        if " on line " in text[match.end() : match.end() + 2000]
    }
    if _CRITICAL in text:
        found.add("critical error")
    return tuple(sorted(found))


def _hashed(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        plain = _SPACE.sub(" ", _DIGITS.sub("#", line)).strip()
        if len(plain) > 1 and not _AUTHOR_LINE.search(plain):
            yield hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:12]


def _visible(text: str) -> Iterator[str]:
    """The runs of text between tags of an HTML or XML document, or the lines of plain text."""
    position = 0
    while True:
        opening = text.find("<", position)
        if opening < 0:
            yield from text[position:].splitlines()
            return
        yield from text[position:opening].splitlines()
        if text.startswith("<!--", opening):
            end = text.find("-->", opening)
            position = end + 3
        elif text.startswith("<![CDATA[", opening):
            end = position = opening + len("<![CDATA[")
        else:
            end = text.find(">", opening)
            position = end + 1
        if end < 0:
            return
        tag = text[opening + 1 : end]
        name = tag[:20].split(None, 1)[0].lower() if tag.strip() else ""
        if name in _UNSEEN_ELEMENTS:
            position = text.find(f"</{name}", end)
            if position < 0:
                return
        elif name in _AUTHOR_ELEMENTS or (name == "a" and _AUTHOR_LINK.search(tag[:1000])):
            closing = text.find(f"</{name}", end, end + _AUTHOR_TEXT)
            if closing >= 0:
                position = closing


def _json(text: str) -> tuple[tuple[str, ...], bool, Iterator[str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return (), False, iter(())
    names: tuple[str, ...] = (type(document).__name__,)
    sample = document
    if isinstance(document, list):
        names = ("list, empty",) if not document else ("list",)
        sample = document[0] if document else None
    if isinstance(sample, dict):
        names += tuple(key for key in sample if not _AUTHOR_KEY.search(key))
    return names, True, islice(_leaves(document, "", 0), _JSON_NODES)


def _leaves(node: Any, path: str, depth: int) -> Iterator[str]:
    if isinstance(node, (dict, list)) and depth < _JSON_DEPTH:
        yield path
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if not _AUTHOR_KEY.search(str(key)):
                yield from _leaves(value, f"{path}.{key}", depth + 1)
    elif isinstance(node, (dict, list)):
        yield path
    else:
        yield f"{path}={node}"
