# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log generator says truly what it wrote."""

from __future__ import annotations

import ast
import re
import time
from pathlib import Path

from testbed import big_log, strain

LINE = re.compile(rb'\S+ - - \[([^]]+)\] "[A-Z]+ \S+ HTTP/1\.1" 200 \d+ "[^"]+" "[^"]+"')


def test_a_filled_log_holds_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    found = big_log.fill(str(path), 1_000_000, 1_700_000_000, 1_700_003_600, 0.2)
    lines = path.read_bytes().splitlines()
    assert found["bytes"] == path.stat().st_size
    assert abs(found["bytes"] - 1_000_000) < 20_000
    assert found["lines"] == len(lines)
    assert found["attacks"] == sum(b"POST //xmlrpc.php" in line for line in lines)
    assert abs(found["attacks"] / found["lines"] - 0.2) < 0.02

    parsed = [LINE.fullmatch(line) for line in lines]
    assert all(parsed)
    stamps = [
        time.mktime(time.strptime(match[1].decode(), "%d/%b/%Y:%H:%M:%S +0000"))
        for match in parsed
        if match
    ]
    assert stamps == sorted(stamps)
    assert 3500 < stamps[-1] - stamps[0] < 3600


def test_the_program_is_one_file_that_python_3_9_parses() -> None:
    ast.parse(strain.FILL.read_text(), feature_version=(3, 9))
