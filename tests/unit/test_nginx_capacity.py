# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nginx is configured for, and whether the places lie where an edit has to go."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.wpward.wordpress.plugins.module_utils import nginx_config
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_capacity import describe

MAIN = """user www-data;
# worker_processes 9;
worker_processes  "auto" ;
include modules/*.conf;

events {
\tworker_connections 768; # and no more
}
http { server { listen 80; } }
"""


def test_values_and_places(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/a.conf").write_text("worker_rlimit_nofile 4096;\n")
    path = tmp_path / "nginx.conf"
    path.write_text(MAIN)
    found = describe(nginx_config.load(str(path)), 3)
    assert (found["worker_processes"], found["workers"]) == ("auto", 3)
    assert (found["worker_connections"], found["worker_rlimit_nofile"]) == (768, 4096)
    assert found["file"] == str(path)
    texts = {name: place["text"] for name, place in found["directives"].items()}
    assert texts == {
        "worker_processes": 'worker_processes  "auto" ;',
        "worker_connections": "worker_connections 768;",
        "worker_rlimit_nofile": "worker_rlimit_nofile 4096;",
    }
    for place in found["directives"].values():
        data = Path(place["file"]).read_bytes()
        assert data[place["offset"] :][: place["length"]].decode() == place["text"]
    assert MAIN[found["events"]["offset"] :].startswith("\n\tworker_connections")
    assert MAIN[found["main"]["offset"] :].startswith("events {")
    assert found["main"]["sha256"] == found["sha256"] == found["events"]["sha256"]


def test_what_is_not_configured_is_nginx_own_default(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("http {}\n")
    found = describe(nginx_config.load(str(path)), 1)
    assert (found["worker_processes"], found["worker_connections"]) == ("1", 512)
    assert found["worker_rlimit_nofile"] is None
    assert (found["events"], found["main"]) == (None, None)
    assert set(found["directives"].values()) == {None}


def test_a_configuration_that_went_away_or_makes_no_sense(tmp_path: Path) -> None:
    assert describe(nginx_config.load(str(tmp_path / "none")), 0)["worker_connections"] == 512
    path = tmp_path / "nginx.conf"
    path.write_text("events { worker_connections many; }\nworker_processes;\n")
    found = describe(nginx_config.load(str(path)), 0)
    assert (found["worker_connections"], found["worker_processes"]) == (512, "1")
