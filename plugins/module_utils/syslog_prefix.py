# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What syslog puts before a line, where a web server logs to it.

Whatever time the line itself bears is better: syslog's is that of the writing, and the old form
has neither year nor zone (see log_time). It counts where the line has none.
"""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    STAMP,
    Part,
    Value,
)

_PRIORITY = Value(None, rb"(?:<\d{1,3}>)?")
_WORD = Value(None, words=False)
# nginx leaves its host's name out where told to.
_HOST_AND_TAG = Value(None, rb"(?:[^ \"\n]+ )?[^ \"\n]+:")
_ISO = Value(STAMP, rb"\d{4}-\d\d-\d\dT[^ \"\n]+")

PREFIXES: dict[str, tuple[Part, ...]] = {
    # Nov 21 10:00:00 web1 nginx: (rsyslog's and syslog-ng's traditional file format, RFC 3164)
    "rfc3164": (
        _PRIORITY,
        Value(STAMP, rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"),
        b" ",
        _HOST_AND_TAG,
        b" ",
    ),
    # 2026-11-21T10:00:00.123456+00:00 web1 nginx: (rsyslog's default since Debian 12)
    "rsyslog": (_PRIORITY, _ISO, b" ", _HOST_AND_TAG, b" "),
    # <190>1 2026-11-21T10:00:00.123456+00:00 web1 nginx 4711 - [meta sequenceId="1"] (RFC 5424)
    "rfc5424": (
        _PRIORITY,
        b"1 ",
        _ISO,
        b" ",
        _WORD,
        b" ",
        _WORD,
        b" ",
        _WORD,
        b" ",
        _WORD,
        b" ",
        Value(None, rb"(?:-|\[[^\]\n]*\]) +"),
    ),
}
"""By the name of the form."""
