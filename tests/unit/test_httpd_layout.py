# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where one file takes effect for every virtual host, whatever the layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_layout
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Config, load
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_layout import (
    Place,
    find_place,
    log_directory,
    recognise,
)

VHOST = "<VirtualHost *:80>\nServerName a.example\n</VirtualHost>\n"


class Layout:
    """A configuration below one directory, ROOT in its texts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, *directories: str) -> None:
        for name in directories:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("ROOT", str(self.root)))

    def load(self, main: str, text: str) -> Config:
        self.write({main: text})
        return load(str(self.root / main), Known(str(self.root), "2.4.62"), {})

    def place(self, text: str, main: str = "httpd.conf") -> Place | None:
        found = find_place(self.load(main, text))
        return found and Place(
            found.file.replace(str(self.root), "ROOT"),
            found.link and found.link.replace(str(self.root), "ROOT"),
        )

    def file(self, text: str) -> str | None:
        found = self.place(text)
        return found.file if found else None


@pytest.fixture()
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(httpd_layout, "_CPANEL", str(tmp_path / "no-cpanel"))
    monkeypatch.setattr(httpd_layout, "_PLESK", str(tmp_path / "no-plesk"))
    return Layout(tmp_path)


DEBIAN = "Include mods-enabled/*.load\nIncludeOptional conf-enabled/*.conf\n"
DEBIAN += "IncludeOptional sites-enabled/*.conf\n"
DEBIAN_DIRECTORIES = ("conf-available", "conf-enabled", "mods-available", "mods-enabled")


def debian(layout: Layout) -> None:
    layout.make(*DEBIAN_DIRECTORIES, "sites-enabled")
    layout.write(
        {
            "mods-enabled/alias.load": "LoadModule alias_module modules/mod_alias.so\n",
            "conf-enabled/charset.conf": "# nothing\n",
            "sites-enabled/blog.conf": VHOST,
        }
    )


class TestDebian:
    def test_a_file_that_is_enabled_by_a_link(self, layout: Layout) -> None:
        debian(layout)
        assert layout.place(DEBIAN, "apache2.conf") == Place(
            "ROOT/conf-available/wpward.conf", "ROOT/conf-enabled/wpward.conf"
        )
        assert recognise(layout.load("apache2.conf", DEBIAN)) == "debian"

    def test_once_it_is_there_it_stays_there(self, layout: Layout) -> None:
        debian(layout)
        layout.write({"conf-available/wpward.conf": "# ours\n"})
        link = layout.root / "conf-enabled/wpward.conf"
        link.symlink_to("../conf-available/wpward.conf")
        config = layout.load("apache2.conf", DEBIAN)
        place = find_place(config)
        assert place == Place(str(layout.root / "conf-available/wpward.conf"), str(link))

    def test_without_conf_enabled_another_directory_will_do(self, layout: Layout) -> None:
        debian(layout)
        without = DEBIAN.replace("IncludeOptional conf-enabled/*.conf\n", "")
        assert layout.place(without, "apache2.conf") == Place("ROOT/sites-enabled/wpward.conf")

    def test_the_directory_may_lie_elsewhere(self, layout: Layout) -> None:
        layout.make("real/conf-available", "real/conf-enabled")
        (layout.root / "conf-enabled").symlink_to("real/conf-enabled")
        assert layout.place("IncludeOptional conf-enabled/*.conf\n") == Place(
            "ROOT/real/conf-available/wpward.conf", "ROOT/real/conf-enabled/wpward.conf"
        )


class TestWhatIsIncluded:
    """Only an include that httpd follows at main scope, and that our file's name fits."""

    @pytest.mark.parametrize(
        "include",
        [
            "IncludeOptional conf.d/*.conf",
            "Include conf.d/*.conf",
            'IncludeOptional "conf.d/*.conf"',
            "IncludeOptional 'ROOT/conf.d/*'",
            "includeoptional ROOT/conf.d/w*.[a-d]onf",
            "Include conf.d",
            "Include conf.d/",
            "Define D conf.d\nIncludeOptional ${D}/*.conf",
            "IncludeOptional conf.d/wpward.conf",
            "<IfModule !nope_module>\nIncludeOptional conf.d/*.conf\n</IfModule>",
        ],
    )
    def test_is_a_place(self, layout: Layout, include: str) -> None:
        layout.make("conf.d")
        assert layout.file(include + "\n") == "ROOT/conf.d/wpward.conf"

    @pytest.mark.parametrize(
        "include",
        [
            "IncludeOptional conf.d/*.load",
            "IncludeOptional conf.d/ssl.conf",
            "IncludeOptional conf.d/[^w]*.conf",
            "IncludeOptional gone.d/*.conf",
            "IncludeOptional conf.d/*/*.conf",
            "<VirtualHost *:80>\nIncludeOptional conf.d/*.conf\n</VirtualHost>",
            "<Directory />\nIncludeOptional conf.d/*.conf\n</Directory>",
            "<VirtualHost *:80>\nInclude inner.conf\n</VirtualHost>",
            "<IfModule nope_module>\nIncludeOptional conf.d/*.conf\n</IfModule>",
            "<Macro m>\nIncludeOptional conf.d/*.conf\n</Macro>",
            "# IncludeOptional conf.d/*.conf",
            # In a virtual host it would be read as well, and some directives may not stand there.
            "Include conf.d/*.conf\n<VirtualHost *:80>\nInclude inner.conf\n</VirtualHost>",
            "Include conf.d/*.conf\n<VirtualHost *:80>\nInclude co[a-z]f.d\n</VirtualHost>",
            "Include conf.d/*.conf\n<VirtualHost *:80>\nInclude link/*.conf\n</VirtualHost>",
        ],
    )
    def test_is_no_place(self, layout: Layout, include: str) -> None:
        layout.make("conf.d/sub")
        layout.write({"inner.conf": "IncludeOptional conf.d/*.conf\n"})
        (layout.root / "link").symlink_to("conf.d")
        assert layout.place(include + "\n") is None

    def test_a_section_that_ended_is_none(self, layout: Layout) -> None:
        layout.make("conf.d")
        closed = "<Directory />\n<Limit GET>\n</Limit>\n</Directory>\n"
        assert layout.file(closed + "Include inner.conf\n") is None
        layout.write({"inner.conf": closed + "Include conf.d/*.conf\n"})
        assert layout.file(closed + "Include inner.conf\n") == "ROOT/conf.d/wpward.conf"

    def test_the_root_of_relative_paths_is_the_one_of_that_line(self, layout: Layout) -> None:
        layout.make("here/conf.d", "there/conf.d")
        text = 'ServerRoot "ROOT/here"\nIncludeOptional conf.d/*.conf\nServerRoot "ROOT/there"\n'
        assert layout.file(text) == "ROOT/here/conf.d/wpward.conf"


class TestWhichOfSeveral:
    def test_not_among_virtual_hosts(self, layout: Layout) -> None:
        layout.make("sites", "conf.d")
        layout.write({"sites/a.conf": VHOST})
        text = "IncludeOptional sites/*.conf\nIncludeOptional conf.d/*.conf\n"
        assert layout.file(text) == "ROOT/conf.d/wpward.conf"
        assert layout.file("IncludeOptional sites/*.conf\n") == "ROOT/sites/wpward.conf"

    def test_not_where_a_module_is_still_missing(self, layout: Layout) -> None:
        layout.make("early.d", "late.d")
        text = "IncludeOptional early.d/*.conf\nLoadModule alias_module a.so\n"
        text += "IncludeOptional late.d/*.conf\n"
        assert layout.file(text) == "ROOT/late.d/wpward.conf"

    def test_not_among_the_modules(self, layout: Layout) -> None:
        layout.make("conf.modules.d", "conf.d")
        modules = "Include conf.modules.d/*.conf\n"
        text = modules + "IncludeOptional conf.d/*.conf\n"
        assert layout.file(text) == "ROOT/conf.d/wpward.conf"
        assert layout.place(modules) is None

    def test_not_under_a_condition(self, layout: Layout) -> None:
        layout.make("a.d", "b.d")
        text = "<IfDefine !SSL>\nIncludeOptional a.d/*.conf\n</IfDefine>\n"
        assert layout.file(text + "IncludeOptional b.d/*.conf\n") == "ROOT/b.d/wpward.conf"

    def test_not_where_it_is_read_twice(self, layout: Layout) -> None:
        layout.make("a.d", "b.d")
        text = "IncludeOptional a.d/*.conf\nIncludeOptional a.d\nIncludeOptional b.d/*.conf\n"
        assert layout.file(text) == "ROOT/b.d/wpward.conf"

    def test_where_it_is_already(self, layout: Layout) -> None:
        layout.make("a.d", "b.d")
        layout.write({"b.d/wpward.conf": "# ours\n"})
        text = "IncludeOptional a.d/*.conf\nIncludeOptional b.d/*.conf\n"
        assert layout.file(text) == "ROOT/b.d/wpward.conf"

    def test_where_somebody_wants_it(self, layout: Layout) -> None:
        layout.make("a.d", "conf")
        text = "IncludeOptional a.d/*.conf\nIncludeOptional conf/wpward*.conf\n"
        assert layout.file(text) == "ROOT/conf/wpward.conf"


class TestNames:
    def test_red_hat(self, layout: Layout) -> None:
        layout.make("conf.modules.d", "conf.d")
        assert recognise(layout.load("conf/httpd.conf", "")) == "rhel"
        assert recognise(layout.load("conf/apache.conf", "")) == "other"

    def test_bitnami(self, layout: Layout) -> None:
        layout.write({"conf/bitnami/bitnami.conf": VHOST})
        layout.make("conf/vhosts")
        text = 'Include "ROOT/conf/bitnami/bitnami.conf"\nIncludeOptional "ROOT/conf/vhosts/*.conf"'
        config = layout.load("conf/httpd.conf", text.replace("ROOT", str(layout.root)) + "\n")
        assert recognise(config) == "bitnami"
        assert find_place(config) == Place(str(layout.root / "conf/vhosts/wpward.conf"))

    def test_cpanel(self, layout: Layout) -> None:
        layout.make("conf.d/includes", "conf.modules.d")
        named = "IncludeOptional conf.d/includes/pre_main_global.conf\n"
        assert recognise(layout.load("conf/httpd.conf", named)) == "cpanel"
        layout.make("no-cpanel")
        assert recognise(layout.load("conf/httpd.conf", "")) == "cpanel"

    def test_plesk(self, layout: Layout) -> None:
        debian(layout)
        generated = {"plesk.conf.d/vhosts/a.conf": VHOST}
        layout.write(generated)
        text = DEBIAN + "IncludeOptional ROOT/plesk.conf.d/vhosts/*.conf\n"
        config = layout.load("apache2.conf", text)
        assert recognise(config) == "plesk"
        place = find_place(config)
        assert place is not None and place.link is not None
        (layout.root / "no-plesk").touch()
        assert recognise(layout.load("apache2.conf", DEBIAN)) == "plesk"


class TestRefusals:
    def test_cpanel_names_its_own_include(self, layout: Layout) -> None:
        layout.make("conf.d/includes")
        text = "IncludeOptional conf.d/includes/post_virtualhost_global.conf\n"
        config = layout.load("conf/httpd.conf", text)
        refusal = httpd_layout._refusal(recognise(config), config)
        assert f"{layout.root}/conf.d/includes/post_virtualhost_global.conf" in refusal
        assert refusal.startswith("cPanel generates ")

    def test_the_advice_works(self, layout: Layout) -> None:
        config = layout.load("conf/httpd.conf", VHOST)
        assert find_place(config) is None
        advice = httpd_layout._refusal("other", config)
        line = advice.split("'")[1]
        config = layout.load("conf/httpd.conf", f"{VHOST}{line}\n")
        assert find_place(config) == Place(str(layout.root / "conf/wpward.conf"))


def test_where_the_logs_are(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd_layout, "is_roots", lambda _path: True)
    layout.make("var/log/httpd", "home")
    (layout.root / "logs").symlink_to("var/log/httpd")
    config = layout.load("conf/httpd.conf", "")
    real = str(layout.root / "var/log/httpd")
    assert log_directory("other", config, [f"{layout.root}/logs/error_log"]) == real
    assert log_directory("other", config, []) == real
    assert log_directory("other", config, [f"{layout.root}/gone/error_log"]) == real
    # Who may write to the directory could make root write anywhere.
    home = str(layout.root / "home")
    monkeypatch.setattr(httpd_layout, "is_roots", lambda path: path != home)
    assert log_directory("other", config, [f"{home}/error_log"]) == real
    monkeypatch.setattr(httpd_layout, "is_roots", lambda _path: False)
    assert log_directory("other", config, [f"{home}/error_log"]) == home
