# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of plugins by name: which offer to lock what is attacked, which log to tables.

Plugins are named by their directory, which is their name in WordPress's plugin directory.
"""

from __future__ import annotations

from dataclasses import dataclass

XMLRPC = "xmlrpc"
USER_ENUMERATION = "user_enumeration"

LOCKS = {
    "all-in-one-wp-security-and-firewall": (XMLRPC, USER_ENUMERATION),
    "better-wp-security": (XMLRPC, USER_ENUMERATION),
    "disable-xml-rpc": (XMLRPC,),
    "disable-xml-rpc-api": (XMLRPC,),
    "disable-xml-rpc-methods": (XMLRPC,),
    "disable-xml-rpc-pingback": (XMLRPC,),
    "manage-xml-rpc": (XMLRPC,),
    "no-user-enumeration": (USER_ENUMERATION,),
    "really-simple-ssl": (XMLRPC, USER_ENUMERATION),
    "sg-security": (XMLRPC, USER_ENUMERATION),
    "stop-user-enumeration": (USER_ENUMERATION,),
    "wordfence": (XMLRPC, USER_ENUMERATION),
    "wp-author-security": (USER_ENUMERATION,),
    "wp-cerber": (XMLRPC, USER_ENUMERATION),
    "wp-simple-firewall": (XMLRPC, USER_ENUMERATION),
}
"""plugin -> what it offers to close. An offer: whether it is switched on, and whether it holds,
only a request can tell; and PHP still starts for each request that such a plugin refuses."""


@dataclass(frozen=True)
class Purge:
    """Why the old rows of a table may be deleted: its plugin does so itself, by age."""

    source: str
    """Where the plugin says so."""
    marks: tuple[str, ...]
    """Columns beside the purge column that tell the table from one that only has its name."""
    utc: bool
    """Whether a number in the purge column counts from the epoch. Otherwise WordPress added the
    time zone of the site to it."""


@dataclass(frozen=True)
class LogTable:
    """A table to which a plugin adds a row per event, so that an attack fills it."""

    name: str
    """Behind the prefix that WordPress was given, in lower case."""
    plugin: str
    purge_columns: tuple[str, ...] = ()
    """By which of its columns old rows are found; the first that the table has. None where rows
    are deleted by the rows of another table."""
    purge: Purge | None = None
    """None where old rows are not ours to delete: the plugin keeps them for good or by their
    number, they are statistics or a queue of jobs, or rows of another table belong to them."""


_AIOS_DAILY = "its daily task aiowps_perform_db_cleanup_tasks (purge_table_records)"
_AIOS = "all-in-one-wp-security-and-firewall"

LOG_TABLES = (
    LogTable(
        "aiowps_audit_log",
        _AIOS,
        ("created",),
        Purge(
            "its daily purge: DELETE by created, which it writes as UNIX_TIMESTAMP()",
            ("event_type", "details", "stacktrace", "username"),
            utc=True,
        ),
    ),
    LogTable("aiowps_debug_log", _AIOS, ("logtime", "created")),
    LogTable(
        "aiowps_events",
        _AIOS,
        ("created", "event_date"),
        Purge(_AIOS_DAILY, ("event_type", "ip_or_host", "referer_info"), utc=True),
    ),
    LogTable(
        "aiowps_failed_logins",
        _AIOS,
        ("failed_login_date",),
        Purge(
            "its daily task aiowps_perform_failed_login_cleanup_task",
            ("user_login", "login_attempt_ip"),
            utc=False,
        ),
    ),
    LogTable(
        "aiowps_login_activity",
        _AIOS,
        ("login_date",),
        Purge(_AIOS_DAILY, ("user_login", "logout_date", "login_ip"), utc=False),
    ),
    LogTable("actionscheduler_actions", "action-scheduler", ("last_attempt_gmt",)),
    LogTable("actionscheduler_logs", "action-scheduler", ("log_date_gmt",)),
    LogTable(
        "aryo_activity_log",
        "aryo-activity-log",
        ("hist_time",),
        Purge(
            "its daily task aal/maintenance/clear_old_items; setting logs_lifespan, 30 days",
            ("histid", "action", "object_type", "hist_ip"),
            utc=False,
        ),
    ),
    LogTable(
        "cerber_log",
        "wp-cerber",
        ("stamp",),
        Purge(
            "its hourly task cerber_do_hourly; setting keeplog",
            ("ip", "user_login", "activity"),
            utc=True,
        ),
    ),
    LogTable(
        "cerber_traffic",
        "wp-cerber",
        ("stamp",),
        Purge(
            "its hourly task cerber_do_hourly; setting tikeeprec",
            ("ip", "uri", "request_method", "http_code"),
            utc=True,
        ),
    ),
    LogTable(
        "defender_lockout_log",
        "defender-security",
        ("date",),
        Purge(
            "its hourly task firewall_clean_up_logs; setting storage_days",
            ("log", "ip", "type", "user_agent"),
            utc=True,
        ),
    ),
    LogTable("itsec_log", "better-wp-security", ("log_date_gmt",)),
    LogTable(
        "itsec_logs",
        "better-wp-security",
        ("timestamp",),
        Purge(
            "its daily scheduled event purge-log-entries; setting log_rotation",
            ("module", "code", "remote_ip", "init_timestamp"),
            utc=True,
        ),
    ),
    LogTable("loginizer_logs", "loginizer", ("time",)),
    LogTable(
        "redirection_404",
        "redirection",
        ("created",),
        Purge(
            "its task Red_Flusher; setting expire_404, 7 days", ("url", "agent", "ip"), utc=False
        ),
    ),
    LogTable(
        "redirection_logs",
        "redirection",
        ("created",),
        Purge(
            "its task Red_Flusher; setting expire_redirect, 7 days",
            ("url", "sent_to", "ip"),
            utc=False,
        ),
    ),
    LogTable("simple_history", "simple-history", ("date",)),
    LogTable("simple_history_contexts", "simple-history"),
    LogTable("slim_stats", "wp-slimstat", ("dt",)),
    LogTable("statistics_visitor", "wp-statistics", ("last_counter",)),
    LogTable("wfhits", "wordfence", ("ctime",)),
    LogTable("wflogins", "wordfence", ("ctime",)),
    LogTable("wsal_metadata", "wp-security-audit-log"),
    LogTable("wsal_occurrences", "wp-security-audit-log", ("created_on",)),
    # The plugin calls its table just "stream"; without the end of a prefix any "upstream" is one.
    LogTable("_stream", "stream", ("created",)),
)


def log_table_of(table: str) -> LogTable | None:
    """The known log that a table of any prefix is; the longest of names that fit."""
    lower = table.lower()
    fitting = [known for known in LOG_TABLES if lower.endswith(known.name)]
    return max(fitting, key=lambda known: len(known.name), default=None)
