# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The endpoints that attackers ask WordPress for: the one table that every reader works from.

The log scanner's classes, the web servers' rules and the verification requests all come from it.
To add an endpoint, add an entry to ENDPOINTS; no code changes.

What the requests do without protection was measured on WordPress 6.1 with nginx 1.22, Apache
httpd 2.4 and PHP 8.2.
"""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import (
    CLOSED,
    OPEN,
    PREFILTER,
    SERVER,
    TRUSTED,
    Ban,
    Endpoint,
    Parameter,
    Request,
)

# Where a `front_end_only` parameter means something else: wp-admin filters its lists by author,
# and so does the REST API.
ELSEWHERE_PATHS = (r"/wp-admin(?:/|$)", r"/wp-json(?:/|$)")
ELSEWHERE_PARAMETERS = (Parameter("rest_route", starts_with="/"),)

_FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
_XML = (("Content-Type", "text/xml"),)
_OVERRIDE = (*_FORM, ("X-HTTP-Method-Override", "GET"))
_MULTIPART = (
    ("Content-Type", "multipart/form-data; boundary=wpward"),
    ("X-HTTP-Method-Override", "GET"),
)
_MULTIPART_ROUTE = (
    '--wpward\r\nContent-Disposition: form-data; name="rest_route"\r\n\r\n'
    "/wp/v2/users\r\n--wpward--\r\n"
)


def _call(method_name: str) -> str:
    return f'<?xml version="1.0"?><methodCall><methodName>{method_name}</methodName></methodCall>'


_LIST_METHODS = _call("system.listMethods")

# Forms with which a server may itself refuse the request before any rule: httpd answers 404 to an
# encoded slash and 400 to a fragment.
_REFUSED_ANYHOW = (400, 403, 404)


# What shows that a request means nothing to a site, unless the operator put something there.
_NOTHING_THERE = (200, 301, 302, 404)


def _gets(*targets: str, statuses: tuple[int, ...] | None = None) -> tuple[Request, ...]:
    return tuple(Request("{base}" + target, statuses=statuses) for target in targets)


def _rpc(*targets: str, statuses: tuple[int, ...] | None = None) -> tuple[Request, ...]:
    return tuple(
        Request(target, "POST", headers=_XML, body=_LIST_METHODS, statuses=statuses)
        for target in targets
    )


# JSON writes the slash as \/; what follows "author" is a user's slug, which is the login name
# unless somebody changed it.
_AUTHOR_LINK = r"(?i)\\?/author\\?/[^/\s\"'<>\\]"
_USER_OBJECT = r"\"avatar_urls\""
_KNOWN_LOGIN = (
    r"(?i)(?:\bauthor-|/author\\?/|CDATA\["
    r"|\"(?:name|slug|username|user_login|user_nicename)\":\s*\"){login}(?![\w.@-])"
)

XMLRPC = Endpoint(
    id="xmlrpc",
    title="XML-RPC (xmlrpc.php)",
    legitimate_use=(
        "Jetpack, the WordPress mobile apps with old sites, external editors such as Open Live "
        "Writer, and pingbacks. The block editor and the REST API do not need it."
    ),
    policies=(CLOSED, TRUSTED, OPEN),
    default=CLOSED,
    layer=SERVER,
    # A decoded question mark can stand in the path: httpd before 2.4.60 hands
    # /xmlrpc.php%3fx.php to PHP as xmlrpc.php (CVE-2024-38473).
    paths=(r"/xmlrpc\.php(?:[/?]|$)",),
    leaks=(r"<methodResponse", r"(?i)<rsd\b", r"XML-RPC server accepts"),
    refused=(
        *_rpc(
            "{base}xmlrpc.php",
            "{base}/xmlrpc.php",
            "/{base}xmlrpc.php",
            "{base}//xmlrpc.php",
            "{base}./xmlrpc.php",
            "{base}%2e/xmlrpc.php",
            "{base}xmlrpc.php?x",
            "{base}xmlrpc.php??",
            "{base}xmlrpc%2ephp",
            "{base}%78mlrpc.php",
            "{base}xmlrp%63.php",
            "{base}%78%6d%6c%72%70%63%2e%70%68%70",
            "{base}wp/../xmlrpc.php",
            "{base}wp-admin/../xmlrpc.php",
            "{base}wp-admin/%2e%2e/xmlrpc.php",
            "{base}index.php/../xmlrpc.php",
            "{base}xmlrpc.php/",
            "{base}xmlrpc.php/foo",
            "{base}xmlrpc.php/x.css",
            "{base}xmlrpc.php//",
            "{base}xmlrpc.php/index.php",
            "{base}XMLRPC.PHP",
            "{base}xmlrpc.PHP",
            "{base}index.php/xmlrpc.php",
            "http://{host}{base}xmlrpc.php",
            "https://{host}{base}xmlrpc.php",
        ),
        *_rpc(
            "{base}xmlrpc.php%2f",
            "{base}xmlrpc.php%2ffoo",
            "{base}%2fxmlrpc.php",
            "{base}%2f/xmlrpc.php",
            "{base}wp-admin/..%2fxmlrpc.php",
            "{base}xmlrpc.php#a",
            "{base}xmlrpc.php ",
            "{base}xmlrpc.php%3fooo.php",
            "{base}xmlrpc.php%0a",
            # httpd reads the one without a host, and the host of the other only where it is TLS.
            "http:{base}xmlrpc.php",
            "https://a%2fb{base}xmlrpc.php",
            statuses=_REFUSED_ANYHOW,
        ),
        # Without a name, or with an unknown one, the default virtual host answers, whoever it is.
        *_rpc("http://wpward.invalid{base}xmlrpc.php", statuses=()),
        Request(
            "{base}xmlrpc.php",
            "POST",
            headers=(*_XML, ("Host", None)),
            body=_LIST_METHODS,
            version="1.0",
            statuses=(),
        ),
        *_gets(
            "xmlrpc.php",
            "/xmlrpc.php",
            "xmlrpc.php?rsd",
            "%78mlrpc.php?rsd",
            "xmlrpc.php/index.php",
        ),
        Request("{base}xmlrpc.php?rsd", "POST"),
        Request("{base}xmlrpc.php", "HEAD"),
        Request("{base}xmlrpc.php", "PUT"),
        Request("{base}xmlrpc.php", "post", statuses=(400, 403, 405, 501)),
        Request("{base}xmlrpc.php", "FOO", statuses=(400, 403, 405, 501)),
        Request(
            "{base}xmlrpc.php",
            "POST",
            headers=_XML,
            body=_call("demo.sayHello"),
            note="demo.sayHello",
        ),
        Request(
            "{base}xmlrpc.php",
            "POST",
            headers=(*_XML, ("Cookie", "wordpress_logged_in_x=1")),
            body=_LIST_METHODS,
            note="forged cookie",
        ),
        Request(
            "{base}xmlrpc.php",
            "POST",
            headers=(*_XML, ("X-Forwarded-For", "127.0.0.1")),
            body=_LIST_METHODS,
            note="forged X-Forwarded-For",
        ),
    ),
    guarded=(
        Request(
            "{base}",
            "POST",
            headers=(*_XML, ("X-Original-URL", "/xmlrpc.php"), ("X-Rewrite-URL", "/xmlrpc.php")),
            body=_LIST_METHODS,
            note="X-Original-URL",
        ),
    ),
    served=(
        *_rpc("{base}xmlrpc.php"),
        Request(
            "{base}xmlrpc.php",
            "POST",
            headers=_XML,
            body=_call("demo.sayHello"),
            note="demo.sayHello",
        ),
    ),
    served_shows=(r"<methodResponse",),
    lookalikes=(
        *_gets("?s=/xmlrpc.php", "?u=http://x/xmlrpc.php"),
        *_gets("xmlrpc.php.bak", "my-xmlrpc.php-story/", "xmlrpc.phpx", statuses=_NOTHING_THERE),
    ),
    ban=Ban(3, 600, "No browser asks for it; what does so again and again is an attack or an app."),
)

AUTHOR_BY_ID = Endpoint(
    id="author_by_id",
    title="Author archives by user id or name (?author=1)",
    legitimate_use=(
        "Readers who follow an author's name to their posts, by the archive's own address "
        "/author/NAME/ which the guard plugin closes as well; old links; a few themes. "
        "wp-admin uses the same parameter for its lists and is left alone."
    ),
    policies=(CLOSED, TRUSTED, OPEN),
    default=CLOSED,
    layer=PREFILTER,
    parameters=(
        # WordPress drops everything but digits, commas and minus signs, so `x1` asks for user 1.
        Parameter("author", contains="123456789", front_end_only=True),
        Parameter("author_name", front_end_only=True),
    ),
    leaks=(_AUTHOR_LINK, r"(?i)<body[^>]*\bauthor\s+author-", _KNOWN_LOGIN),
    refused=(
        *_gets(
            "?author=1",
            "/?author=1",
            "index.php?author=1",
            "?%61uthor=1",
            "?%61%75%74%68%6f%72=%31",
            "?author=01",
            "?author=%31",
            "?author=1%20",
            "?author=+1",
            "?author=1,2",
            "?author=x1",
            "?author=%%31",
            "?+author=1",
            "?%20author=1",
            "?author%00=1",
            "?x=y&author=1",
            "?author=0&author=1",
            "?author=1&paged=1",
            "?author=1&feed=rss2",
            "?author=2",
            "wpward-no-such-page/?author=1",
            "?p=1&author=1",
            "?author_name={login}",
            "?author.name={login}",
            "?author%5Bname={login}",
            "?author+name={login}",
        ),
        Request("{base}?author=1", "HEAD"),
        Request("{base}?author=1", "POST", headers=_FORM, body="x=y"),
    ),
    guarded=(
        Request("{base}", "POST", headers=_FORM, body="author=1", note="author in the body"),
        Request("{base}?x", "POST", headers=_FORM, body="author=1", note="author in the body"),
        Request(
            "{base}index.php", "POST", headers=_FORM, body="author=1", note="author in the body"
        ),
        Request(
            "{base}",
            "POST",
            headers=_FORM,
            body="author_name={login}",
            note="author_name in the body",
        ),
        Request(
            "{base}?author=1",
            headers=(("Cookie", "wordpress_logged_in_x=1"),),
            note="forged cookie",
        ),
        Request(
            "{base}?author=1",
            headers=(("Authorization", "Basic eDp5"),),
            note="forged Authorization",
        ),
        Request("{base}wp-admin/../?author=1", headers=(("Cookie", "wordpress_logged_in_x=1"),)),
        Request("{base}?author=1&rest_route="),
        Request("{base}author/{login}/"),
        Request("{base}author/{login}/feed/"),
        Request("{base}feed/"),
        Request("{base}comments/feed/"),
        Request("{base}?feed=atom"),
        Request("{base}wp-json/oembed/1.0/embed?url={site_url}"),
        Request("{base}?rest_route=/oembed/1.0/embed&url={site_url}"),
    ),
    served=_gets("?author=1", statuses=_NOTHING_THERE),
    lookalikes=_gets(
        "?author=",
        "?author=0",
        "?s=author=1",
        "?coauthor=1",
        "wp-json/wp/v2/posts?author=1",
        "?rest_route=/wp/v2/posts&author=1",
        "wp-admin/edit.php?author=1",
    ),
    ban=Ban(10, 600, "Old links lead readers there, and crawlers follow several of them."),
)

REST_USERS = Endpoint(
    id="rest_users",
    title="Users in the REST API (/wp-json/wp/v2/users)",
    legitimate_use=(
        "The block editor and external clients, always logged in. Nobody needs it anonymously "
        "but headless front ends that show authors."
    ),
    policies=(CLOSED, TRUSTED, OPEN),
    default=CLOSED,
    layer=PREFILTER,
    # Only with merge_slashes off does nginx leave several slashes in a row.
    paths=(r"/wp/+v2/+users(?:/|$)",),
    # The route's pattern ends in a dollar sign, which lets one line feed pass.
    parameters=(Parameter("rest_route", starts_with="/wp/v2/users", followed_by="/\n"),),
    leaks=(_USER_OBJECT, _AUTHOR_LINK, _KNOWN_LOGIN),
    refused=(
        *_gets(
            "wp-json/wp/v2/users",
            "wp-json/wp/v2/users/",
            "wp-json/wp/v2/users/1",
            "wp-json/wp/v2/users/01",
            "wp-json/wp/v2/users?search=a",
            "wp-json/wp/v2/users?slug={login}",
            "wp-json/wp/v2/users?_envelope=1",
            "wp-json/wp/v2/users?_jsonp=x",
            "wp-json/wp/v2/users?context=embed",
            "/wp-json/wp/v2/users",
            "%77p-json/wp/v2/users",
            "%77p-json/wp/v2/%75sers",
            "wp-json/wp/v2/%75sers",
            "wp-json/WP/V2/USERS",
            "wp-json/wp/v2/Users/1",
            "index.php/wp-json/wp/v2/users",
            "wp-json/?rest_route=/wp/v2/users",
            "wp-json/wp/v2/posts?rest_route=/wp/v2/users",
            "?rest_route=/wp/v2/users",
            "?rest_route=%2Fwp%2Fv2%2Fusers",
            "?rest_route=/wp/v2/%75sers",
            "?a=1&rest_route=/wp/v2/users",
            "?&rest_route=/wp/v2/users",
            "index.php?rest_route=/wp/v2/users",
            "wpward-no-such-page/?rest_route=/wp/v2/users",
            "?rest_route=/wp/v2/users/",
            "?rest_route=/wp/v2/users/1",
            "?rest_route=/wp/v2/users%0a",
            "?rest_route=/WP/V2/USERS",
            "?rest_route=a&rest_route=/wp/v2/users",
            "?rest.route=/wp/v2/users",
            "?rest%2eroute=/wp/v2/users",
            "?rest+route=/wp/v2/users",
            "?rest%20route=/wp/v2/users",
            "?rest%5Broute=/wp/v2/users",
            "?rest[route=/wp/v2/users",
            "?rest%5Froute=/wp/v2/users",
            "?+rest_route=/wp/v2/users",
            "?%20rest_route=/wp/v2/users",
            "?%72est_route=/wp/v2/users",
            "?rest_route%00x=/wp/v2/users",
            "?REST_ROUTE=/wp/v2/posts&rest_route=/wp/v2/users",
        ),
        Request("{base}wp-json%2fwp%2fv2%2fusers", statuses=_REFUSED_ANYHOW),
        Request("{base}wp-json/wp/v2/users", "HEAD"),
        Request("{base}wp-json/wp/v2/users?_method=GET", "POST", headers=_FORM, body="x=y"),
    ),
    guarded=(
        Request(
            "{base}",
            "POST",
            headers=_OVERRIDE,
            body="rest_route=/wp/v2/users",
            note="route in the body",
        ),
        Request(
            "{base}?_method=GET",
            "POST",
            headers=_FORM,
            body="rest_route=/wp/v2/users",
            note="route in the body",
        ),
        Request(
            "{base}",
            "POST",
            headers=_MULTIPART,
            body=_MULTIPART_ROUTE,
            note="route in a multipart body",
        ),
        Request(
            "{base}wp-json/wp/v2/posts?_method=GET",
            "POST",
            headers=_FORM,
            body="rest_route=/wp/v2/users",
            note="route in the body",
        ),
        Request(
            "{base}wp-json/wp/v2/users",
            headers=(("Cookie", "wordpress_logged_in_x=1"),),
            note="forged cookie",
        ),
        Request(
            "{base}wp-json/wp/v2/users",
            headers=(("Authorization", "Bearer x"),),
            note="forged Authorization",
        ),
        Request(
            "{base}wp-json/batch/v1",
            "POST",
            headers=(("Content-Type", "application/json"),),
            body='{"requests":[{"method":"POST","path":"/wp/v2/users"}]}',
        ),
        Request("{base}wp-json/wp/v2/posts?_embed"),
        Request("{base}wp-json/wp/v2/posts?_embed=author"),
        Request("{base}wp-json/wp/v2/pages?_embed"),
        Request("{base}wp-json/wp/v2/comments?_embed"),
        Request("{base}?rest_route=/wp/v2/posts&_embed=1"),
    ),
    served=_gets("wp-json/wp/v2/users"),
    lookalikes=_gets("wp-json/wp/v2/posts", "?rest_route=/wp/v2/posts", "?s=/wp/v2/users"),
    ban=Ban(10, 600, "A front end or a reader's tool may ask for it once per page."),
)

USERS_SITEMAP = Endpoint(
    id="users_sitemap",
    title="Users in the sitemap (wp-sitemap-users-1.xml)",
    legitimate_use="Search engines that index author archives.",
    policies=(CLOSED, TRUSTED, OPEN),
    default=CLOSED,
    layer=PREFILTER,
    paths=(r"/wp-sitemap-users(?:-[^/]*)?\.xml(?:/|$)",),
    parameters=(Parameter("sitemap", starts_with="users", followed_by="", front_end_only=True),),
    leaks=(_AUTHOR_LINK, _KNOWN_LOGIN),
    refused=_gets(
        "wp-sitemap-users-1.xml",
        "/wp-sitemap-users-1.xml",
        "wp-sitemap-users-1.xml/",
        "wp-sitemap-users-x-1.xml",
        "wp-sitemap-%75sers-1.xml",
        "index.php/wp-sitemap-users-1.xml",
        "?sitemap=users",
        "?sitemap=users&paged=1",
        "?%73itemap=%75sers",
        "index.php?sitemap=users",
    ),
    guarded=(
        Request("{base}", "POST", headers=_FORM, body="sitemap=users", note="sitemap in the body"),
        Request(
            "{base}wp-sitemap-users-1.xml",
            headers=(("Cookie", "wordpress_logged_in_x=1"),),
            note="forged cookie",
        ),
    ),
    served=_gets("wp-sitemap-users-1.xml", statuses=_NOTHING_THERE),
    lookalikes=_gets("wp-sitemap.xml", "wp-sitemap-posts-post-1.xml", statuses=_NOTHING_THERE),
    ban=Ban(20, 600, "Crawlers that found it in an old index of sitemaps ask for all its pages."),
)

WLWMANIFEST = Endpoint(
    id="wlwmanifest",
    title="Windows Live Writer manifest (wlwmanifest.xml)",
    legitimate_use="Windows Live Writer and its successors, which need XML-RPC as well.",
    policies=(CLOSED, TRUSTED, OPEN),
    default=CLOSED,
    layer=SERVER,
    paths=(r"/wlwmanifest\.xml(?:/|$)",),
    leaks=(r"(?i)<manifest\b",),
    refused=(
        *_gets(
            "wp-includes/wlwmanifest.xml",
            "/wp-includes//wlwmanifest.xml",
            "wp-includes/%77lwmanifest.xml",
            "wp-includes/./wlwmanifest.xml",
            "wp-admin/../wp-includes/wlwmanifest.xml",
            "wp-includes/wlwmanifest.xml?x",
        ),
        Request("{base}wp-includes%2fwlwmanifest.xml", statuses=_REFUSED_ANYHOW),
    ),
    # WordPress no longer ships the file.
    served=_gets("wp-includes/wlwmanifest.xml", statuses=_NOTHING_THERE),
    lookalikes=_gets("?s=wlwmanifest.xml"),
    ban=Ban(5, 600, "Nobody but scanners asks for it, in one directory after the other."),
)

LOGIN = Endpoint(
    id="login",
    title="Login page (wp-login.php)",
    legitimate_use=(
        "Everybody who logs in, registers, resets a password or opens a password-protected post."
    ),
    policies=(TRUSTED, OPEN),
    default=OPEN,
    layer=SERVER,
    paths=(r"/wp-login\.php(?:[/?]|$)",),
    leaks=(r"(?i)\bid=[\"']loginform[\"']", r"(?i)\bname=[\"']user_login[\"']"),
    refused=(
        *_gets(
            "wp-login.php",
            "/wp-login.php",
            "%77p-login.php",
            "wp-login.php?action=lostpassword",
            "wp-login.php/index.php",
            "wp-admin/../wp-login.php",
        ),
        Request("{base}wp-login.php", "POST", headers=_FORM, body="x=y"),
    ),
    # Some plugins give it another name.
    served=_gets("wp-login.php", statuses=_NOTHING_THERE),
    lookalikes=_gets("?s=wp-login.php"),
    ban=Ban(10, 600, "Somebody who may log in elsewhere tries it from the wrong place, and again."),
)

FAILED_LOGINS = Ban(10, 600, "People mistype, several behind one address; ten times is a machine.")
"""Wrong passwords. A right one before a second factor is none."""

REPEATED_BANS = Ban(5, 86400, "Whoever comes back after four bans within a day means it.")

ENDPOINTS: tuple[Endpoint, ...] = (
    XMLRPC,
    AUTHOR_BY_ID,
    REST_USERS,
    USERS_SITEMAP,
    WLWMANIFEST,
    LOGIN,
)

# What a site does for its visitors, whatever the policies.
SITE_WORK: tuple[Request, ...] = (
    *_gets(
        "",
        "feed/",
        "wp-json/",
        "wp-cron.php",
        "wp-admin/",
        "wp-includes/css/dist/block-library/style.min.css",
    ),
    # Without an action it does nothing but say so.
    *_gets("wp-admin/admin-ajax.php", statuses=(200, 400)),
    *_gets("wp-comments-post.php", statuses=(405,)),
    *_gets("?p=1", "wpward-no-such-page/", statuses=_NOTHING_THERE),
    Request("{base}", "HEAD"),
    Request("{base}?s=wpward", "POST", headers=_FORM, body="x=y"),
)


def by_id(identity: str) -> Endpoint:
    """The endpoint with that id; KeyError for an unknown one."""
    for endpoint in ENDPOINTS:
        if endpoint.id == identity:
            return endpoint
    raise KeyError(identity)
