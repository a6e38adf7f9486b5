# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""A fail2ban filter for one access log, made from the log's configured format.

For hosts where the deny log cannot be had. Everything from the line's beginning to what is needed
is spelled out, so that an address, a time or a request counts only in its own place: not in the
query, the referer, the user agent or the name of a basic-auth user. Formats in which a client
could move the fields are refused.

Every loop is bounded by what nginx and httpd take from a client by default, 8 KiB a header or
request line; then the worst line costs about a millisecond, however long it is, and most cost a
few microseconds (measured on fail2ban 1.0.2 with Python 3.11). Where the limits were raised, longer
requests go unseen.

Counted is what the server answered with 200, with 400 or more, or hung up on: with 200 and 405 the
endpoint is open, 404 and 403 cost the attacker nothing, and 429, 444, 499 and 5xx are what a flood
leads to. Not counted are redirects, since the request that follows is counted, and 400, since the
server saw no request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_log_format, log_format
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import by_id
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    BACKSLASH,
    Layout,
    LineFormat,
    UnusableFormat,
)

__all__ = ["UnusableFormat", "access_filter"]

_BYTES = 8192
"""What a client can send in one piece."""
_STATUS = r"(?:200|4(?!00)\d\d|5\d\d)"
_NO_TIME = "(?=.)"
_CLF = "%d/%b/%Y:%H:%M:%S %z"
_EPOCH = "{EPOCH}"
_TIMES = {
    "time_local": _CLF,
    "time_iso8601": "%Y-%m-%dT%H:%M:%S%z",
    "msec": _EPOCH,
}
"""nginx's, in fail2ban's words."""
_LETTERS = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "s": _EPOCH, "h": "%b"}
_KNOWN_LETTERS = "YmdHMSbz"


def _nginx_time(text: str) -> str:
    names = re.findall(r"\$\{?(time_local|time_iso8601|msec)\b", text)
    if len(set(names)) != 1:
        raise UnusableFormat("the log format has not one time stamp but several")
    return _TIMES[names[0]]


def _httpd_time(text: str) -> str:
    found = re.findall(
        r"%[<>!,\d]*(?:\{([^}]*)\})?[<>!,\d]*t", httpd_log_format.NICKNAMES.get(text, text)
    )
    if len(found) != 1:
        raise UnusableFormat("the log format writes the time in several pieces")
    form = re.sub(r"^(?:begin|end)(?::|\Z)", "", found[0])
    if form in ("", "sec"):
        return _EPOCH if form else _CLF
    form = re.sub(r"%([FTRsh])", lambda match: _LETTERS[match.group(1)], form)
    if not all(letter in _KNOWN_LETTERS for letter in re.findall("%(.)", form)):
        raise UnusableFormat(f"fail2ban cannot read its time, {json.dumps(found[0])}")
    if form != _EPOCH and not re.fullmatch(r"(?:%[A-Za-z]|[ :/.T-])+", form):
        raise UnusableFormat(f"fail2ban cannot read its time, {json.dumps(found[0])}")
    return form


def _letter(character: str) -> str:
    """A character of a path, plain or percent-encoded, in either case."""
    forms = sorted({character.lower(), character.upper()})
    codes = []
    for form in forms:
        code = f"{ord(form):02x}"
        codes.append(f"{code[0]}[{code[1]}{code[1].upper()}]" if code[1].isalpha() else code)
    plain = f"[{''.join(forms)}]" if len(forms) > 1 else re.escape(forms[0])
    return f"(?:{plain}|%(?:{'|'.join(codes)}))"


def _path(pattern: str) -> tuple[str, str]:
    """A path of the catalogue as a client may write it: its name, without the slash that leads
    to it, and which characters may follow it."""
    known = re.fullmatch(r"/((?:[\w-]|\\.)+)\(\?:(?:\[([/?]+)\]|(/))\|\$\)", pattern)
    if known is None:
        raise UnusableFormat("this endpoint has no path that an access log could be asked for")
    name = known.group(1).replace("\\", "")
    return "".join(map(_letter, name)), known.group(2) or known.group(3)


class _Expressions:
    """What stands for each value of a format, in fail2ban's regular expressions."""

    def __init__(self, line_format: LineFormat, pattern: str) -> None:
        self.layout = Layout(line_format.parts, line_format.escapes)
        self._backslash = line_format.escapes == BACKSLASH
        self._name, self._after = _path(pattern)
        controls = {code for code in b"".join(self.layout.texts) if code < 0x20}
        self._marks = '"' + "".join(f"\\x{code:02x}" for code in sorted(controls))

    def text(self, but: str = "") -> str:
        r"""Any text that a client sent, without a mark and these characters.

        The last step stands alone, and a fixed text follows it: then Python looks for that text's
        first character before it tries the rest, which matters where nothing fits.
        """
        step = rf"[^{but}{self._marks}\\]{{0,{_BYTES}}}"
        pair = r"\\." if self._backslash else r"\\"
        return rf"(?:{step}{pair}){{0,{_BYTES}}}{step}"

    def target(self) -> str:
        """A request target whose path is the endpoint's."""
        # In an absolute target the host is no part of the path, be it named as the endpoint.
        ends = f"/?# {self._marks}"
        host = rf"[A-Za-z][A-Za-z0-9+.-]{{0,31}}:(?://[^{ends}]{{0,{_BYTES}}}(?=[{ends}])|(?!//))"
        start = f"(?:(?=/)|{host})"
        after = "|".join(f"%{ord(sign):x}" for sign in self._after)
        end = f"(?=[{ends}]|(?i:{after})|$)"
        return f"{start}{self.text('?#')}(?:/|%2[fF]){self._name}{end}"

    def request(self) -> str:
        return rf"[!#-\[\]-~]{{1,32}} {self.target()}"

    def skipped(self, place: int) -> str:
        """A value that nobody asks for."""
        value = self.layout.values[place]
        if value.name == "address":
            return f"[^ {self._marks}]{{1,255}}"
        if value.shape is not None and value.name != "time":
            return value.shape.decode()
        if self.layout.is_quoted(place) or value.words:
            # httpd writes an empty user name as two quotes.
            return f'(?:""|{self.text()})' if self._backslash and not value.name else self.text()
        after = self.layout.texts[place + 1][:1].decode()
        but = "" if after.isalnum() or after in ' "' else re.escape(after)
        plain = f"[^ {but}{self._marks}]{{0,{_BYTES}}}"
        # A server that is asked for by its IPv6 address.
        return rf"(?:\[[^ \]{self._marks}]{{0,64}}\]|{plain})" if after == ":" else plain


def _literal(text: bytes) -> str:
    """A fixed text, such that neither fail2ban nor its configuration's reader sees more in it."""
    if not text.isascii():
        raise UnusableFormat("it has characters that fail2ban may read in another encoding")
    return "".join(
        chr(code) if chr(code).isalnum() or code in b' ",:/=_-' else f"\\x{code:02x}"
        for code in text
    )


def _last(layout: Layout, place: int) -> tuple[int, bool]:
    """How far an expression must go for a value to be in its own place, see Layout.end_of."""
    last, whole = layout.end_of(place)
    for section in layout.sections():
        if section.start > last:
            break
        # A value that ends where its own form says divides nothing else.
        loose = [one for one in section if one <= last and not layout.is_certain(one)]
        if len(loose) > 1:
            raise UnusableFormat(
                "between two of its values with blanks nothing tells where the first ends"
            )
    return last, whole


def _joined(layout: Layout, place: int, expression: Callable[[int], str]) -> str:
    """From the line's beginning to the end of what makes a value certain."""
    last, whole = _last(layout, place)
    text = "^" + _literal(layout.texts[0])
    for one in range(last + 1):
        text += expression(one)
        if one < last:
            text += _literal(layout.texts[one + 1])
    if last + 1 == len(layout.values):
        return text + _literal(layout.texts[-1]) + "$"
    return text + _literal(layout.texts[last + 1] if whole else layout.texts[last + 1][:1])


def _datepattern(layout: Layout, time: int, stamp: str, expressions: _Expressions) -> str:
    """Where the time stands. Where it is not there, fail2ban is content with the line's first
    character: else it would look for one at every place of the line."""
    if stamp != _EPOCH:
        before = _joined(
            layout, time, lambda one: f"({stamp})" if one == time else expressions.skipped(one)
        )
        return f"^(?:{before[1:]}|{_NO_TIME})"
    if time or layout.texts[0]:
        raise UnusableFormat("fail2ban reads seconds since the epoch at a line's beginning only")
    # fail2ban takes all that this pattern goes over out of the line, not the time alone.
    return f"^(?:{_EPOCH}(?={_literal(layout.texts[1][:1])})|{_NO_TIME})"


def _failregex(layout: Layout, fields: dict[str, int], expressions: _Expressions) -> str:
    def expression(place: int) -> str:
        name = layout.values[place].name
        if name == "address":
            return "<ADDR>"
        if name == "time":
            # fail2ban has taken it out.
            return ""
        if name == "status":
            return _STATUS
        if name in ("request", "target"):
            asked = expressions.request() if name == "request" else expressions.target()
            return asked + expressions.text()
        return expressions.skipped(place)

    needed = [fields[name] for name in ("address", "request", "target", "status") if name in fields]
    return _joined(layout, max([*needed, fields["time"]]), expression)


def access_filter(text: str, server: str, endpoint: str = "xmlrpc") -> str:
    """The text of a fail2ban filter that finds the clients that ask for an endpoint.

    text: the log's format as the evidence has it, or a name that the server itself knows.
    server: ``nginx`` or ``httpd``. endpoint: an id of the catalogue.

    Raises UnusableFormat, whose message continues "the log format cannot be used: ...".
    """
    if server == "nginx":
        text = log_format.COMBINED if text in ("", "combined") else text
        line_format = log_format.compile_format(text)
        stamp = _nginx_time(text)
    else:
        line_format = httpd_log_format.compile_format(text)
        stamp = _httpd_time(text)
    if "address" not in line_format.fields:
        raise UnusableFormat("it does not hold the client's address")
    if line_format.forgeable:
        raise UnusableFormat("a client can forge lines of it")
    expressions = _Expressions(line_format, "".join(by_id(endpoint).paths))
    layout = expressions.layout
    fields = {value.name: place for place, value in enumerate(layout.values) if value.name}
    datepattern = _datepattern(layout, fields["time"], stamp, expressions)
    failregex = _failregex(layout, fields, expressions)
    return (
        "# wpward:bans - written by Ansible, edits are lost. Undo: playbooks/rollback.yml\n"
        f"# Requests for {endpoint} in an access log of the format\n"
        f"# {json.dumps(text)}\n"
        "\n[Definition]\n\n"
        f"datepattern = {_quoted(datepattern)}\n\n"
        f"failregex = {_quoted(failregex)}\n"
    )


def _quoted(expression: str) -> str:
    """As the reader of fail2ban's configuration wants it; it cuts blanks off a line's end."""
    expression = re.sub(r" $", r"\\x20", expression)
    return expression.replace("%", "%%")
