# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Configuration and command lines without the secrets in them.

Too much is taken out rather than too little: what stands behind a word that names a secret goes, to
the end of its line. Logs are evidence and are kept as they are.
"""

from __future__ import annotations

import re

REDACTED = b"<redacted>"

_WORD = (
    rb"(?:passw|passphrase|\bpwd\b|_pwd\b|secret|credential|(?<!http_)authorization"
    # Not nginx's server_tokens, httpd's ServerTokens and sizes of the full text search.
    rb"|(?<!server_)(?<!server)token(?!_size)"
    rb"|api[_-]?key|private[_-]?key|access[_-]?key|auth[_-]?key|\bsalt\b|_salt\b"
    rb"|(?:db|database)_?pass)"
)
_LINE = re.compile(
    # The rest of the word, what separates it from its value, and the value with its continuations.
    rb"(?P<kept>" + _WORD + rb"[\w.\-]*[\"']?\]?[ \t]*[=: \t,]+)"
    rb"(?P<value>[^\r\n]*(?:(?<=\\)\r?\n[^\r\n]*)*)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    rb"[ \t\"']*(?:[;{}\"' \t]*|\$[a-z_]\w*[\"']?[ \t]*;?[ \t]*)$", re.IGNORECASE
)
"""Nothing, or a variable of nginx alone."""
_ADDRESS = re.compile(
    rb"(?P<kept>[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.IGNORECASE
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_OPTION = re.compile(
    rb"(?P<kept>(?:^|\s)--?[\w-]*(?:passw|pwd|secret|token|api-?key)[\w-]*(?:=|\s+))\S+",
    re.IGNORECASE,
)
_CLIENT = re.compile(rb"(?:^|/)(?:mysql|mariadb)[\w-]*$")
_SHORT = re.compile(rb"(?P<kept>\s-p)\S+")
_PAIR = re.compile(rb"(?P<kept>\s-(?:u|-user)(?:\s+|=)[^\s:]+:)\S+")


def holds_private_key(data: bytes) -> bool:
    """Whether a private key in its usual text form is in it."""
    return _PRIVATE_KEY.search(data) is not None


def configuration(data: bytes) -> tuple[bytes, int]:
    """The text of a configuration file without values of secrets, and how many were taken out."""
    count = 0

    def line(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if _NO_SECRET.match(match.group("value")):
            return match.group()
        count += 1
        return match.group("kept") + REDACTED

    def address(match: re.Match[bytes]) -> bytes:
        nonlocal count
        count += 1
        return match.group("kept") + REDACTED

    return _ADDRESS.sub(address, _LINE.sub(line, data)), count


def command_line(words: list[bytes]) -> bytes:
    """A process's command line on one line, without passwords."""
    shown = b" ".join(words)
    shown = _ADDRESS.sub(rb"\g<kept>" + REDACTED, shown)
    shown = _OPTION.sub(rb"\g<kept>" + REDACTED, shown)
    shown = _PAIR.sub(rb"\g<kept>" + REDACTED, shown)
    if words and _CLIENT.search(words[0]):
        shown = _SHORT.sub(rb"\g<kept>" + REDACTED, shown)
    return shown
