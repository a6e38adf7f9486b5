# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many open files systemd can give, by what process 1 may do."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import open_file_ceiling, processes

MAY = "CapEff:\t000001ffffffffff"
MAY_NOT = "CapEff:\t00000000800c17fb"
EVERYBODY = "         0          0 4294967295"
SOME = "         0     100000      65536"


@pytest.mark.parametrize(
    ("hard", "rights", "users", "ceiling"),
    [
        ("20000", MAY_NOT, EVERYBODY, 20000),
        ("20000", MAY, EVERYBODY, 1048576),
        ("20000", MAY, SOME, 20000),
        ("2000000", MAY_NOT, EVERYBODY, 1048576),
        ("unlimited", MAY_NOT, EVERYBODY, 1048576),
        ("20000", "CapEff:\tx", EVERYBODY, 20000),
    ],
)
def test_the_ceiling(
    hard: str,
    rights: str,
    users: str,
    ceiling: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (open_file_ceiling, processes):
        monkeypatch.setattr(module, "PROC", str(tmp_path))
    (tmp_path / "1").mkdir()
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/nr_open").write_text("1048576\n")
    (tmp_path / "1/limits").write_text(
        f"Limit  Soft Limit  Hard Limit  Units\nMax open files  1024  {hard}  files\n"
    )
    (tmp_path / "1/status").write_text(f"Name:\tsystemd\n{rights}\n")
    (tmp_path / "1/uid_map").write_text(f"{users}\n")
    assert open_file_ceiling.ceiling() == ceiling
