# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says the catalogue in Apache httpd's language: one condition per rule, at most one of them true.

It is made of what the nginx maps are made of, so that both servers decide alike: the path first,
then the first parameter of the query.

A condition stands twice in the file: where the request is refused and where the deny log decides
what to note. There is no variable in between that a .htaccess file could set.

`%{REQUEST_URI}` comes decoded and without dot segments; an encoded slash stays %2f where
AllowEncodedSlashes says NoDecode. `%{QUERY_STRING}` comes as the client sent it.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_rules import (
    ELSEWHERE,
    nginx_rules,
)

# req() would add the header's name to the answer's Vary.
_ANONYMOUS = "! (req_novary('Cookie') =~ m#wordpress_logged_in_#) && -z req_novary('Authorization')"
# Permalinks lead /wp-json/wp/v2/posts?author=1 to /index.php?author=1 by an internal redirect,
# DirectoryIndex and FallbackResource by a subrequest: a query is judged with the client's own path.
_BY_THE_CLIENT = "-z reqenv('REDIRECT_STATUS') && %{IS_SUBREQ} == 'false'"

_SLASH_OR_END = re.compile(r"\\.|\[[^\]]*\]|[/$]")


def path_expression(patterns: Sequence[str]) -> str:
    """A PCRE over `%{REQUEST_URI}`, letter case ignored, for any of the catalogue's patterns."""
    return "|".join(_SLASH_OR_END.sub(_as_httpd_reads_it, pattern) for pattern in patterns)


def _as_httpd_reads_it(found: re.Match[str]) -> str:
    token = found.group()
    if token == "$":
        # httpd's own is the very end, everybody else's lets a line feed pass.
        return r"\n?$"
    is_slash = token == "/" or (token[0] == "[" and token[1] != "^" and "/" in token)
    return f"(?:{token}|%2f)" if is_slash else token


def _requested(patterns: Sequence[str]) -> str:
    return f"%{{REQUEST_URI}} =~ m#{path_expression(patterns)}#i"


def _asks_for(patterns: Sequence[str]) -> str:
    """By its path, or by a file that an Alias, MultiViews or a rewrite found for another path."""
    return (
        f"({_requested(patterns)} || %{{REQUEST_FILENAME}} =~ m#^(?=/).*(?:{'|'.join(patterns)})#i)"
    )


def _elsewhere(patterns: Sequence[str]) -> str:
    # RewriteRule's flag PT leaves the client's own path in mod_rewrite's SCRIPT_URL only.
    return f"({_requested(patterns)} || reqenv('SCRIPT_URL') =~ m#{path_expression(patterns)}#i)"


def _query(expressions: Sequence[str]) -> str:
    return f"(%{{QUERY_STRING}} =~ m#{'|'.join(expressions)}#)"


def _groups(pairs: Sequence[Sequence[str]]) -> list[tuple[str, list[str]]]:
    grouped = groupby(pairs, key=lambda pair: pair[1])
    return [(token, [expression for expression, _ in group]) for token, group in grouped]


def httpd_rules(
    policy: Mapping[str, str],
    trusted: Sequence[str] = (),
    exempt: Sequence[str] = (),
    endpoints: tuple[Endpoint, ...] = ENDPOINTS,
) -> dict[str, Any]:
    """What the httpd template needs, as plain data.

    policy, trusted: as `policy.check_policy` returns them.
    exempt: networks of peers whose requests are let through, whoever the client is: proxies that
        have judged them already.

    Returns:
        active: whether any endpoint is not open.
        rules: dictionaries of `endpoint` and `when`, an expression of httpd's that stands as it is
            between double quotes and is true where the request is to be refused.
    """
    maps = nginx_rules(policy, trusted, endpoints)
    paths = _groups(maps["paths"])
    elsewhere = [pattern for token, group in paths if token == ELSEWHERE for pattern in group]
    rules = []

    def refuse(endpoint: str, clauses: list[str]) -> None:
        refused = {key.partition(" ")[0] for key, token in maps["verdicts"] if token == endpoint}
        if "11" not in refused:
            clauses.append(_none_of("-R '{}'", trusted))
        if "00" not in refused:
            clauses.append(_ANONYMOUS)
        if exempt:
            clauses.append(_none_of("%{{CONN_REMOTE_ADDR}} -ipmatch '{}'", exempt))
        rules.append({"endpoint": endpoint, "when": " && ".join(clauses)})

    before: list[str] = []
    for token, patterns in paths:
        if token != ELSEWHERE:
            refuse(token, [_asks_for(patterns)] + ([f"! {_asks_for(before)}"] if before else []))
            before += patterns
    earlier: list[str] = []
    for token, expressions in _groups(maps["parameters"]):
        if token != ELSEWHERE:
            clauses = [_query(expressions), _BY_THE_CLIENT]
            clauses += [f"! {_query(earlier)}"] if earlier else []
            clauses += [f"! {_asks_for(before)}"] if before else []
            clauses += [] if token in maps["everywhere"] else [f"! {_elsewhere(elsewhere)}"]
            refuse(token, clauses)
        earlier += expressions
    return {"active": maps["active"], "rules": rules}


def _none_of(test: str, networks: Sequence[str]) -> str:
    return f"! ({' || '.join(test.format(network) for network in networks)})"
