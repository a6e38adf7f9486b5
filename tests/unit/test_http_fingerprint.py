# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A page that broke is noticed; a page that lost its authors' names is not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    SILENT,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_fingerprint import (
    MAX_LINES,
    describe,
    differences,
    fingerprint,
    unsound,
)
from hypothesis import given
from hypothesis import strategies as st

HOME = """<!DOCTYPE html>
<html lang="en-US">
<head><meta charset="UTF-8" /><title>The garden &#8211; a blog</title>
<link rel="alternate" type="application/rss+xml" href="https://blog.example/feed/" />
<style id="wp-block-library-inline-css">:root { --wp-admin-theme-color: #007cba; }</style>
<script>var settings = {"nonce":"NONCE","url":"https:\\/\\/blog.example\\/"};</script>
</head>
<body class="home blog wp-embed-responsive">
<a class="skip-link" href="#main">Skip to content</a>
<header><h1><a href="https://blog.example/">The garden</a></h1><p>Things that grow</p></header>
<main id="main">
POSTS
</main>
<aside><h2>Recent comments</h2><p>Lovely roses!</p><p>When do you prune them?</p></aside>
<footer><p>Proudly powered by <a href="https://wordpress.org">WordPress</a></p>
<p>Served at CLOCK by node NODE</p></footer>
</body>
</html>
"""
POST = """<article class="post-NUMBER post type-post">
<h2><a href="https://blog.example/NAME/">About NAME</a></h2>
<p>The NAME grows well in the shade of the old wall.</p>
<p>Water the NAME in the evening, never at noon.</p>
<div class="meta">By <a class="url fn n" href="https://blog.example/author/alice/">Zoe</a>
<span>March NUMBER</span></div>
</article>"""
PLANTS = ["rose", "fern", "ivy", "moss", "mint", "sage", "dill", "leek"]

FEED = """<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"
xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>The garden</title>
<lastBuildDate>Sat, 21 Nov 2026 22:02:14 +0000</lastBuildDate>
ITEMS
</channel></rss>
"""
RSS: dict[str, Any] = {"content_type": "application/rss+xml"}
JSON: dict[str, Any] = {"content_type": "application/json; charset=UTF-8"}
ITEM = """<item><title>About NAME</title><link>https://blog.example/NAME/</link>
<dc:creator><![CDATA[alice]]></dc:creator>
<description><![CDATA[The NAME grows well.]]></description></item>"""


def home(
    nonce: str = "a1b2", clock: str = "10:00:01", node: str = "web", plants: Any = PLANTS
) -> str:
    posts = "\n".join(
        POST.replace("NAME", plant).replace("NUMBER", str(number))
        for number, plant in enumerate(plants)
    )
    page = HOME.replace("POSTS", posts).replace("NONCE", nonce)
    return page.replace("CLOCK", clock).replace("NODE", node)


def feed() -> str:
    return FEED.replace("ITEMS", "\n".join(ITEM.replace("NAME", plant) for plant in PLANTS))


def answer(body: str | bytes = "", status: int = 200, **headers: str) -> Exchange:
    named = {"content_type": "text/html; charset=UTF-8", **headers}
    return Exchange(
        ANSWERED,
        status=status,
        headers=tuple((name.replace("_", "-"), value) for name, value in named.items()),
        body=body.encode() if isinstance(body, str) else body,
        complete=True,
    )


def changed(before: Exchange, after: Exchange) -> str:
    return "; ".join(differences(fingerprint(before, before), after))


def test_the_same_page_later_is_the_same() -> None:
    kept = fingerprint(answer(home()), answer(home("ffff", "10:00:02", "web2")))
    assert differences(kept, answer(home("9999", "11:59:58", "db"))) == []
    assert json.loads(json.dumps(kept)) == kept


def test_what_differs_between_two_fetches_is_no_line() -> None:
    quote = ["To be or not", "All that glitters"]
    pages = [answer(home().replace("Things that grow", one)) for one in quote]
    kept = fingerprint(*pages)
    third = answer(home().replace("Things that grow", "A rose is a rose"))
    assert differences(kept, third, lines_kept=1.0) == []


def test_missing_names_and_links_of_authors_are_no_difference() -> None:
    page = home()
    guarded = page.replace(
        '<a class="url fn n" href="https://blog.example/author/alice/">Zoe</a>', ""
    )
    assert guarded != page
    assert differences(fingerprint(answer(page), answer(page)), answer(guarded), 1.0) == []


def test_missing_creators_in_a_feed_are_no_difference() -> None:
    kept = fingerprint(answer(feed(), **RSS), answer(feed(), **RSS))
    assert kept["names"] == ["rss"] and kept["lines"]
    empty = feed().replace("<![CDATA[alice]]>", "")
    assert differences(kept, answer(empty, **RSS), 1.0) == []


def test_missing_users_sitemap_is_no_difference() -> None:
    index = (
        '<?xml version="1.0"?><sitemapindex><sitemap><loc>https://blog.example/'
        "wp-sitemap-posts-post-1.xml</loc></sitemap>USERS</sitemapindex>"
    )
    users = "<sitemap><loc>https://blog.example/wp-sitemap-users-1.xml</loc></sitemap>"
    before = answer(index.replace("USERS", users), **RSS)
    assert changed(before, answer(index.replace("USERS", ""), **RSS)) == ""


def test_missing_users_in_the_rest_api_are_no_difference() -> None:
    routes = {f"/wp/v2/{name}": {"methods": ["GET"]} for name in PLANTS}
    users = {f"/wp/v2/users/{n}": {"methods": ["GET"], "endpoints": [1]} for n in range(9)}
    document = {"name": "The garden", "namespaces": ["wp/v2"], "routes": {**routes, **users}}
    before = answer(json.dumps(document), **JSON)
    without = answer(json.dumps({**document, "routes": routes}), **JSON)
    assert differences(fingerprint(before, before), without, 1.0) == []


def test_missing_embedded_authors_and_links_are_no_difference() -> None:
    post = {"id": 1, "title": {"rendered": "Rose"}, "content": {"rendered": "x"}, "author": 1}
    links = {"self": [{"href": "x"}], "author": [{"href": "/wp-json/wp/v2/users/1"}]}
    embedded = {"author": [{"slug": "alice"}]}
    before = answer(json.dumps([{**post, "_links": links, "_embedded": embedded}]), **JSON)
    after = answer(json.dumps([{**post, "_links": {"self": []}}]), **JSON)
    assert changed(before, after) == ""


FATAL = (
    "<br />\n<b>Fatal error</b>:  Uncaught Error: Call to undefined function wpward() in "
    "/var/www/blog/wp-content/mu-plugins/x.php:3\nStack trace:\n#0 {main}\n  thrown in "
    "<b>/var/www/blog/wp-content/mu-plugins/x.php</b> on line <b>3</b><br />\n"
)
PLAIN_FATAL = (
    "PHP Fatal error:  Uncaught Error: Call to undefined function f() in /var/www/x.php:3\n"
    "Stack trace:\n#0 {main}\n  thrown in /var/www/x.php on line 3\n"
)
WARNING = "<br />\n<b>Warning</b>:  Undefined variable $x in <b>/var/www/x.php</b> on line <b>9</b>"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (answer("", 200), "is empty"),
        (answer("  \n", 200), "is empty"),
        (answer(FATAL), "Fatal error"),
        (answer(PLAIN_FATAL), "Fatal error"),
        (answer(home()[:1500] + FATAL), "Fatal error"),
        (answer(home() + FATAL), "Fatal error"),
        (answer(WARNING + home()), "Warning"),
        (answer(home().replace("</main>", WARNING + "</main>")), "Warning"),
        (answer(home()[:1800]), "cut off"),
        (answer(home().replace("</html>", "")), "cut off"),
        (answer("<p>There has been a critical error on this website.</p>"), "critical error"),
        (answer("<p>There has been a critical error on this website.</p>", 500), "answers 500"),
        (answer(home(), 404), "answers 404, it was 200"),
        (answer(home(), 302, location="https://blog.example/wp-admin/install.php"), "302"),
        (answer(home(), content_type="text/plain"), "is text/plain"),
        (answer(home().replace("The garden &#8211;", "Index of /")), "titled"),
        (answer(home(plants=[])), "lines"),
        (answer(home(plants=PLANTS[:-2])), "lines"),
        (answer("<!DOCTYPE html><html><title>x</title>Hacked</html>"), "titled"),
        (Exchange(SILENT, "no answer: the time was up"), "time was up"),
        (Exchange(ANSWERED, "the body was cut", 200, (), home().encode(), False), "not whole"),
    ],
)
def test_a_broken_page_is_noticed(after: Exchange, said: str) -> None:
    assert said in changed(answer(home()), after)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ('{"name":"The garden"', "cut off"),
        ('<br />\n<b>Warning</b>: x on line <b>1</b>{"name":"a","routes":{}}', "Warning"),
        ('{"code":"rest_no_route","message":"No route","data":{"status":200}}', "has lost"),
        ("[]", "has lost"),
        ("", "empty"),
    ],
)
def test_a_broken_document_is_noticed(after: str, said: str) -> None:
    document = json.dumps({"name": "The garden", "routes": {"/wp/v2/posts": {"methods": []}}})
    found = changed(answer(document, **JSON), answer(after, **JSON))
    assert said in found


def test_an_emptied_list_is_noticed() -> None:
    assert "has lost" in changed(answer('[{"id":1,"slug":"rose"}]', **JSON), answer("[]", **JSON))


def test_a_feed_that_became_a_page_or_ends_early_is_noticed() -> None:
    before = answer(feed(), **RSS)
    assert "is text/html" in changed(before, answer(home()))
    assert "cut off" in changed(before, answer(feed()[:700], **RSS))


@pytest.mark.parametrize(
    ("locations", "later", "same"),
    [
        (("/a/", "/a/"), "/a/", True),
        (("/a/", "/a/"), "/b/", False),
        (("/a/", "/a/"), "", False),
        (("", ""), "/a/", False),
        (("/a/?x=1", "/a/?x=2"), "/a/?x=3", True),
        (("/a/?x=1", "/a/?x=2"), "/b/?x=3", False),
        (("/a/?x=1", "/a/?x=1"), "/a/?x=3", False),
        (("/a/", "/b/"), "/c/", True),
    ],
)
def test_redirects(locations: tuple[str, str], later: str, same: bool) -> None:
    one, two = (answer("", 302, location=location) for location in locations)
    after = answer("", 302, location=later)
    assert (differences(fingerprint(one, two), after) == []) is same


def test_an_error_that_was_there_before_is_no_difference() -> None:
    before = answer(home().replace("</main>", WARNING + "</main>"))
    assert changed(before, before) == ""
    assert "Fatal error" in changed(before, answer(home() + FATAL))


def test_a_text_about_errors_is_no_error() -> None:
    page = home().replace("Lovely roses!", "Warning: thorns. Fatal error: none")
    assert unsound(answer(page)) == "" and describe(answer(page)).errors == ()


@pytest.mark.parametrize(
    "page",
    [
        home(),
        home() + "\n<!-- cached by a plugin -->\n<!-- 0.1 s -->\n",
        home().replace("</html>", "</HTML >"),
        "0",
        "",
        "body { color: red }",
        "<p>a fragment</p>",
    ],
)
def test_sound_pages(page: str) -> None:
    assert unsound(answer(page)) == ""


def test_no_fingerprint_of_what_did_not_answer_twice_alike() -> None:
    silent = Exchange(SILENT, "no answer: the time was up")
    assert fingerprint(answer(home()), silent) == {"unanswered": "no answer: the time was up"}
    assert "502" in fingerprint(answer("", 502), answer(home()))["unanswered"]


def test_a_fingerprint_stays_small() -> None:
    huge = answer("\n".join(f"line {chr(97 + n % 26) * (n // 26 + 1)}" for n in range(5000)))
    kept = fingerprint(huge, huge)
    assert len(kept["lines"]) == MAX_LINES
    assert differences(kept, huge) == []
    half = answer(b"\n".join(huge.body.split(b"\n")[::2]))
    assert "lines" in "".join(differences(kept, half))


@pytest.mark.parametrize(
    "body",
    [
        "<" * 1_000_000,
        "<script" * 200_000,
        "<a class=author>" * 100_000,
        "<dc:creator>" * 100_000,
        "<!--" * 300_000,
        "<!-- -->" * 200_000 + "</html",
        "<html>" + "<!---->" * 200_000,
        "<![CDATA[" * 100_000,
        "<title>" * 200_000,
        "Warning: " * 200_000,
        "<a class=" * 200_000,
        "<a " + "class=" * 200_000 + ">",
        "[" * 500_000,
        '{"a":' * 100_000,
    ],
)
@pytest.mark.parametrize("media", ["text/html", "application/xml", "application/json"])
def test_a_hostile_page_is_described_in_no_time(body: str, media: str) -> None:
    started = time.process_time()
    describe(answer(body, content_type=media))
    assert time.process_time() - started < 3


@given(st.binary(max_size=200), st.sampled_from(["text/html", "text/xml", "application/json", ""]))
def test_any_page_equals_itself(body: bytes, media: str) -> None:
    page = answer(body, content_type=media)
    assert differences(fingerprint(page, page), page, 1.0) == []
