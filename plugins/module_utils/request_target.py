# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a raw request target as the web server and PHP do, and names the endpoints it reaches.

Slashes are merged, as nginx does unless told otherwise. Where supported versions of nginx differ
(1.18 to 1.26), the lenient one is followed: a target that one of them refuses with 400 may still
name an endpoint here.
"""

from __future__ import annotations

import re
from typing import Callable, Iterator, NamedTuple

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ELSEWHERE_PARAMETERS,
    ELSEWHERE_PATHS,
    ENDPOINTS,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint, Parameter


class RequestTarget(NamedTuple):
    """A request target as the web server hands it on.

    path: decoded once, slashes merged, dot segments resolved; each character is one byte.
    query: what follows the first question mark, still encoded; empty without one.
    """

    path: str
    query: str


# The scheme and host of an absolute target take no part in choosing the resource. httpd 2.4.71
# needs no host (http:/xmlrpc.php) and looks at none behind https: on a port without TLS, so that
# there https://a%2fb/xmlrpc.php reaches XML-RPC.
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:(?://[^/?# ]*)?(?=[/?# ]|\Z)", re.I | re.A)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_LOG_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))", re.S)
_LOG_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}


def _characters(text: str | bytes) -> str:
    """One character per byte, whatever comes in."""
    if isinstance(text, bytes):
        return text.decode("latin-1")
    try:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("latin-1")


def decode_percent(text: str) -> str:
    """Undoes percent-encoding once; what is no escape stays as it is, as in PHP."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), text)


def decode_log_escapes(text: str) -> str:
    r"""Undoes what web servers write for unsafe characters: `\xHH`, and httpd's `\"` and `\n`."""
    if "\\" not in text:
        return text

    def character(escape: re.Match[str]) -> str:
        digits, letter = escape.groups()
        if digits:
            return chr(int(digits, 16))
        return _LOG_LETTERS.get(letter, letter)

    return _LOG_ESCAPE.sub(character, text)


def _normalise(path: str) -> str:
    segments: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            # Above the root nginx answers 400, but not to `//..` with merge_slashes off.
            if segments:
                segments.pop()
        elif part not in ("", "."):
            segments.append(part)
    normalised = "/" + "/".join(segments)
    if segments and parts[-1] in ("", ".", ".."):
        normalised += "/"
    return normalised


def parse(target: str | bytes, log_escaped: bool = False) -> RequestTarget | None:
    r"""Splits, decodes and normalises a raw request target.

    target: as in the request line or in `$request`; any bytes.
    log_escaped: whether it comes from an access log, where `"` stands as `\x22`.

    Returns None for what no web server takes for a path of a site: broken escapes, a NUL, `*`, a
    CONNECT authority.
    """
    text = _characters(target)
    if log_escaped:
        text = decode_log_escapes(text)
    text = text.strip(" ")
    if not text.startswith("/"):
        absolute = _ABSOLUTE.match(text)
        if absolute is None:
            return None
        text = text[absolute.end() :]
        if not text.startswith("/"):
            text = "/" + text
    # A fragment never belongs in a request, and nginx cuts it off the path and the query alike.
    text = text.partition("#")[0]
    raw_path, _, query = text.partition("?")
    if _BAD_ESCAPE.search(raw_path):
        return None
    path = decode_percent(raw_path)
    if "\0" in path:
        return None
    return RequestTarget(_normalise(path), query)


def php_name(name: str) -> str | None:
    """The key under which PHP files a decoded parameter name; None for arrays and empty names."""
    name = name.lstrip(" ").partition("\0")[0]
    bracket = name.find("[")
    if bracket == 0:
        return None
    if bracket > 0 and "]" in name[bracket:]:
        return None
    return re.sub(r"[ .\[]", "_", name) or None


def php_parameters(query: str) -> Iterator[tuple[str, str]]:
    """Names and decoded values of the query's parameters that PHP reads as plain strings."""
    for item in query.split("&"):
        raw_name, _, raw_value = item.partition("=")
        name = php_name(decode_percent(raw_name.replace("+", " ")))
        if name is not None:
            yield name, decode_percent(raw_value.replace("+", " "))


def _value_matches(parameter: Parameter, value: str) -> bool:
    start, rest = value[: len(parameter.starts_with)], value[len(parameter.starts_with) :]
    if start.lower() != parameter.starts_with.lower():
        return False
    if parameter.followed_by is not None and rest and rest[0] not in parameter.followed_by:
        return False
    if parameter.contains:
        return any(character in parameter.contains for character in value)
    return bool(value)


def _path_matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    # ASCII: the web server folds the case of no other letter, and U+017F would fold to an s.
    compiled = [re.compile(pattern, re.I | re.A) for pattern in patterns]
    return lambda path: any(pattern.search(path) for pattern in compiled)


class Classifier:
    """Names the endpoints of a catalogue that a request target reaches."""

    def __init__(self, endpoints: tuple[Endpoint, ...] = ENDPOINTS) -> None:
        self._paths = [
            (endpoint.id, _path_matcher(endpoint.paths)) for endpoint in endpoints if endpoint.paths
        ]
        self._parameters: dict[str, list[tuple[str, Parameter]]] = {}
        for endpoint in endpoints:
            for parameter in endpoint.parameters:
                named = self._parameters.setdefault(parameter.name, [])
                named.append((endpoint.id, parameter))
        self._order = {endpoint.id: place for place, endpoint in enumerate(endpoints)}
        self._is_elsewhere = _path_matcher(ELSEWHERE_PATHS)

    def classify(self, target: str | bytes, log_escaped: bool = False) -> tuple[str, ...]:
        """Ids of the endpoints that the raw request target reaches, in the catalogue's order.

        Never raises; a target that is none reaches nothing.
        """
        parsed = parse(target, log_escaped)
        if parsed is None:
            return ()
        reached = {identity for identity, matches in self._paths if matches(parsed.path)}
        if parsed.query:
            reached.update(self._by_query(parsed))
        return tuple(sorted(reached, key=self._order.__getitem__))

    def _by_query(self, parsed: RequestTarget) -> Iterator[str]:
        parameters = list(php_parameters(parsed.query))
        candidates = [
            (identity, parameter)
            for name, value in parameters
            for identity, parameter in self._parameters.get(name, ())
            if _value_matches(parameter, value)
        ]
        if not candidates:
            return
        elsewhere = self._is_elsewhere(parsed.path) or any(
            parameter.name == name and _value_matches(parameter, value)
            for name, value in parameters
            for parameter in ELSEWHERE_PARAMETERS
        )
        for identity, parameter in candidates:
            if not (elsewhere and parameter.front_end_only):
                yield identity


_CLASSIFIER = Classifier()


def classify(target: str | bytes, log_escaped: bool = False) -> tuple[str, ...]:
    """Ids of the catalogue's endpoints that a raw request target reaches; never raises.

    A parameter given several times counts if any of its values matches, although PHP keeps the
    last: the web server's rules cannot tell which is last, and both must agree.
    """
    return _CLASSIFIER.classify(target, log_escaped)
