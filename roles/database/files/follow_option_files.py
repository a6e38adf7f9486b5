# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have the running database server follow its option files in what they say of the slow log, or
check that it does (``follow`` or ``check``, then the words that module log_tables gives).

It is handed to Python as text, also by the rollback program of a host that has nothing else of
ours, so it needs nothing but the standard library.
"""

import os
import subprocess
import sys

NO_SERVER = "ERROR 2002"
DEFAULTS = {"slow_query_log": "0", "long_query_time": "10", "slow_query_log_file": ""}
# MariaDB's other names for them.
ALIASES = {
    "log_slow_query": "slow_query_log",
    "log_slow_query_time": "long_query_time",
    "log_slow_query_file": "slow_query_log_file",
}


def told(lines):
    """What the options say, the last word of each; one that is not named is not in it."""
    found = {}
    for line in lines:
        name, equals, value = line.strip().partition("=")
        name = name.lstrip("-").replace("-", "_")
        name = name[6:] if name.startswith("loose_") else name
        off = name.startswith(("skip_", "disable_"))
        name = name.partition("_")[2] if off else name
        name = ALIASES.get(name, name)
        if name == "slow_query_log":
            on = not off and (not equals or value.upper() in ("1", "ON", "TRUE", "YES"))
            found[name] = "1" if on else "0"
        elif name == "long_query_time":
            found[name] = repr(float(value))
        elif name == "slow_query_log_file" and not set(value) & set("'\\"):
            found[name] = value
    return found


def statements(options):
    """The file is set before the log is switched on, or it would be made in two places."""
    for name in ("slow_query_log_file", "long_query_time", "slow_query_log"):
        value = options.get(name)
        if name == "slow_query_log_file":
            value = f"'{value}'" if value else None
        yield f"SET GLOBAL {name} = {'DEFAULT' if value is None else value};"


def follows(options, running):
    """Whether the server does what the options say. Its own name for the file is not known."""
    wanted = {**DEFAULTS, **options}
    same = float(running[0]) == float(wanted["slow_query_log"])
    if wanted["slow_query_log"] == "1":
        same = same and float(running[1]) == float(wanted["long_query_time"])
    return same and wanted["slow_query_log_file"] in ("", running[2])


def main(mode, client, socket, credentials, defaults, only, *groups):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
    options = told(
        subprocess.run(
            [defaults, *(["--defaults-file=" + only] if only else []), *groups],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=30,
        )
        .stdout.decode("utf-8", "surrogateescape")
        .splitlines()
    )
    account = (
        ["--defaults-file=" + credentials] if credentials else ["--no-defaults", "--user=root"]
    )
    question = "SELECT " + ", ".join(f"@@GLOBAL.{name}" for name in DEFAULTS)
    asked = subprocess.run(
        [
            *(client, *account, "--protocol=socket", "--socket=" + socket, "--connect-timeout=5"),
            *("--batch", "--raw", "--skip-column-names"),
            "--execute=" + (question if mode == "check" else " ".join(statements(options))),
        ],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        start_new_session=True,
    )
    errors = asked.stderr.decode("utf-8", "replace").strip()
    if mode == "follow" and NO_SERVER in errors:
        print("The database server does not run; it follows its option files when it starts.")
        return 0
    if asked.returncode:
        print(errors, file=sys.stderr)
        return asked.returncode
    if mode == "check":
        running = asked.stdout.decode("utf-8", "surrogateescape").rstrip("\n").split("\t")
        if len(running) != 3 or not follows(options, running):
            print("The database server does not follow its option files.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main(*sys.argv[1:]))
