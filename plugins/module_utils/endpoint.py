# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words in which the catalogue describes an endpoint.

Paths and parameters are described as PHP and WordPress see them, after decoding. Each reader
turns the description into its own language: the classifier matches it directly, the web servers'
rules spell out the percent-encodings.
"""

from __future__ import annotations

from dataclasses import dataclass

CLOSED = "closed"
TRUSTED = "trusted"
OPEN = "open"

SERVER = "server"
PREFILTER = "prefilter"


@dataclass(frozen=True)
class Ban:
    """From how many requests of one address on it is an attacker.

    max_refusals: that many within find_seconds lead to a ban.
    why: what speaks for this number, as a sentence.
    """

    max_refusals: int
    find_seconds: int
    why: str


@dataclass(frozen=True)
class Parameter:
    """A query parameter, by the name PHP gives it (`rest.route` arrives as `rest_route`).

    With neither `starts_with` nor `contains`, any value that is not empty matches.

    name: ASCII letters, digits and underscores.
    starts_with: what the decoded value begins with, letter case ignored.
    followed_by: characters that may stand right after `starts_with`; the end always may. With
        None, anything may.
    contains: characters of which the decoded value holds at least one.
    front_end_only: whether wp-admin and the REST API use the same name for something harmless,
        so that the parameter counts outside of them only.
    """

    name: str
    starts_with: str = ""
    followed_by: str | None = None
    contains: str = ""
    front_end_only: bool = False


@dataclass(frozen=True)
class Request:
    """A request to try on a site.

    target: raw request target, sent byte for byte. `{base}` stands for the site's URL path with
        a slash at its end, `{host}` for its name, `{login}` for each login name that the caller
        knows: a request with it is left out where none is known.
    headers: names and values; None instead of a value leaves a usual header out.
    note: tells apart requests that differ in headers or body only.
    statuses: the statuses that are right for it. None stands for what is usual: 403 where the web
        server refuses, any elsewhere; an empty tuple for any.
    """

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str | None], ...] = ()
    body: str = ""
    version: str = "1.1"
    note: str = ""
    statuses: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Endpoint:
    """One thing of WordPress that attackers ask for.

    id: the word for it in policies, logs and reports; lower-case letters and underscores.
    legitimate_use: who uses it in good faith, so that an operator can choose a policy.
    policies: the policies that make sense for it; default: the one it has unless told otherwise.
    layer: `server` where the web server alone refuses it; `prefilter` where the web server only
        spares PHP the plain anonymous requests and the guard plugin is the control.
    paths: regular expressions, searched for in the decoded and normalised path with letter case
        ignored, in the syntax that PCRE and Python share; without double quotes.
    parameters: query parameters that reach it on any path.
    leaks: regular expressions over `Location: ...`, an empty line and the body; an answer to a
        refused request that matches one proves the endpoint open.
    refused: requests that the web server refuses where the policy is `closed`.
    guarded: requests that no rule on a URL can tell from harmless ones; the guard plugin makes
        their answers harmless.
    served: what its legitimate users send; must work where the policy is `open`, and for trusted
        clients where it is `trusted`.
    served_shows: regular expressions that must match a trusted client's answers.
    lookalikes: harmless requests that careless rules refuse; must work under every policy.
    ban: how many refused requests make an attacker; None where none ever do.
    """

    id: str
    title: str
    legitimate_use: str
    policies: tuple[str, ...]
    default: str
    layer: str
    leaks: tuple[str, ...]
    refused: tuple[Request, ...]
    served: tuple[Request, ...]
    served_shows: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    guarded: tuple[Request, ...] = ()
    lookalikes: tuple[Request, ...] = ()
    ban: Ban | None = None
