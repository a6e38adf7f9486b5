# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that rest on error logs, on the host's state and on the database."""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import HIGH, LOW, MEDIUM
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import (
    CAPACITY,
    DATABASE,
    RECORDER,
    Kind,
)

_WORKER_MEMORY = """\
# mean memory of one worker in MiB; shared pages counted once (PSS)
for p in $(pgrep 'apache2|httpd|php-fpm'); do awk '/^Pss:/{s+=$2} END{print s/1024}' \\
  /proc/$p/smaps_rollup; done | awk '{s+=$1} END{if (NR) print s/NR, "MiB in", NR, "workers"}'
free -m"""

KINDS = (
    Kind(
        "workers_exhausted",
        "httpd had no worker left",
        HIGH,
        "httpd reached MaxRequestWorkers (MaxClients): further visitors wait in a queue and see a "
        "site that hangs. httpd notes this once per start, so one line can stand for hours. "
        "Raising the limit does not help where an attack is the cause: the machine runs out of "
        "memory instead.",
        "While sites are attacked, shutting the door comes first. The number of workers should "
        "follow from the memory.",
        "Find out who holds the workers, shut that out, and set the limit to what the memory "
        "carries: (memory - what the database and the system need) / memory of one worker.",
        shell=_WORKER_MEMORY,
        httpd="# prefork; ServerLimit must not be below it\nServerLimit 40\nMaxRequestWorkers 40",
        remedies=(CAPACITY, RECORDER),
    ),
    Kind(
        "fpm_exhausted",
        "php-fpm had no worker left",
        HIGH,
        "php-fpm reached pm.max_children: requests wait for a free PHP worker. It notes the first "
        "time and, until it has started workers again, no other. Without an attack one or two such "
        "lines are a burst of visitors, and medium; more are an overload.",
        "While sites are attacked, shutting the door comes first. The number of children should "
        "follow from the memory.",
        "See what the workers are busy with, shut out what does not belong there, and let "
        "pm.max_children follow from the memory of one worker.",
        shell=_WORKER_MEMORY + "\n# then pm.max_children in the pool's file, and\n"
        "php-fpm8.2 -t && systemctl reload php8.2-fpm",
        remedies=(CAPACITY,),
    ),
    Kind(
        "connections_exhausted",
        "nginx had no connection left",
        HIGH,
        "nginx reached worker_connections and dropped connections. A request that is passed on "
        "takes two. A server that passes requests on to itself eats any number: see self_proxy.",
        "While sites are attacked or a loop exists, those come first.",
        "Remove a loop if there is one; then raise worker_connections together with the limit of "
        "open files.",
        nginx="worker_rlimit_nofile 8192;\nevents { worker_connections 4096; }",
        remedies=(CAPACITY,),
    ),
    Kind(
        "open_files_exhausted",
        "Too many open files",
        HIGH,
        "A service reached its limit of open files, or is about to: it cannot accept connections, "
        "read files or reach PHP any more. systemd's limit counts, not limits.conf.",
        "While sites are attacked or a loop exists, those come first.",
        "Raise the limit where it acts, and look at what the running process really has. A reload "
        "is not enough, and httpd on Debian has its own limit in envvars.",
        shell="systemctl edit nginx         # [Service] LimitNOFILE=16384\n"
        "systemctl restart nginx\n"
        "grep 'open files' /proc/$(systemctl show -p MainPID --value nginx)/limits",
        nginx="worker_rlimit_nofile 8192;",
        httpd="# Debian: /etc/apache2/envvars\nAPACHE_ULIMIT_MAX_FILES='ulimit -n 16384'",
        remedies=(CAPACITY,),
    ),
    Kind(
        "php_not_answering",
        "PHP did not answer the web server",
        MEDIUM,
        "nginx waited for PHP in vain (timed out) or found nobody there (refused). It is what "
        "visitors see when all PHP workers are taken, or when php-fpm is down.",
        "Nothing of its own: what takes the workers is another finding.",
        "See whether php-fpm runs and what its workers do.",
        shell="systemctl status 'php*-fpm'\nls -l /run/php/\n"
        "tail -n 50 /var/log/php*-fpm.log /var/log/php-fpm/error.log 2>/dev/null",
    ),
    Kind(
        "out_of_memory",
        "The kernel killed processes for want of memory",
        HIGH,
        "Memory ran out and the kernel chose a victim, often the database. More workers than the "
        "memory carries make this certain as soon as somebody asks for all of them.",
        "The number of workers should follow from the memory; a recorder shows the next time what "
        "grew.",
        "Lower the number of workers to what fits, and look at who was killed.",
        shell="journalctl -k --no-pager | grep -i 'out of memory' | tail\n" + _WORKER_MEMORY,
        remedies=(CAPACITY, RECORDER),
    ),
    Kind(
        "swapping",
        "The host is short of memory",
        HIGH,
        "Processes wait for memory that has to come back from the disk: everything takes minutes, "
        "a login by SSH too. Adding workers makes it worse.",
        "The number of workers should follow from the memory.",
        "Lower the number of workers now, restart what has grown, and shut the attack out.",
        shell="cat /proc/pressure/memory; free -m; vmstat 1 5\n" + _WORKER_MEMORY,
        remedies=(CAPACITY, RECORDER),
    ),
    Kind(
        "disk_full",
        "A disk is nearly full",
        HIGH,
        "Soon logs, sessions or the database cannot be written. Floods fill logs; a log named "
        "`off` (see error_log_off) fills unseen.",
        "Nothing is deleted by itself.",
        "Find what has grown. Do not delete a log that a process has open: truncate it.",
        shell="df -h; df -i\ndu -xh --max-depth=3 /var | sort -h | tail -20\n"
        "truncate -s 0 /path/to/the/log",
    ),
    Kind(
        "workers_oversized",
        "More httpd workers are allowed than the memory carries",
        MEDIUM,
        "The configured number of httpd processes times the memory of one is more than the host "
        "has. That is not seen until a flood asks for all of them; then the host swaps to death "
        "instead of refusing.",
        "A value that does not fit is lowered, with the arithmetic in the report.",
        "Set MaxRequestWorkers to what fits.",
        shell=_WORKER_MEMORY,
        httpd="# prefork; ServerLimit must not be below it\nServerLimit 40\nMaxRequestWorkers 40",
        remedies=(CAPACITY,),
    ),
    Kind(
        "database_long_statement",
        "A statement holds the database up",
        HIGH,
        "A statement has been changing or reading a large table for a long time while the site "
        "waits. Typically it is the daily purge of a plugin's log table that an attack has filled.",
        "The table is purged in small batches, and its purge column gets an index.",
        "Let it finish if it is near its end: a statement that is killed late has to undo its "
        "work, which takes as long again. Then see to the table and its index.",
        shell="mysql -e 'SHOW FULL PROCESSLIST'\n"
        "mysql -e 'SELECT trx_mysql_thread_id, trx_rows_modified "
        "FROM information_schema.innodb_trx'",
        remedies=(DATABASE,),
    ),
    Kind(
        "audit_table_large",
        "A plugin's log table is far too large",
        MEDIUM,
        "A security plugin wrote a row for each failed login of an attack, maybe days ago. The "
        "attack is over; purging the table still takes the server's time every day.",
        "Rows beyond the retention are removed in batches by primary key.",
        "Delete the old rows in batches until none is left. One large DELETE holds locks for as "
        "long as it takes.",
        shell="""\
# All-In-One Security: created is in seconds since the epoch; keeps 7 days
while [ "$(mysql -N DATABASE -e 'DELETE FROM wp_aiowps_audit_log
  WHERE created < UNIX_TIMESTAMP() - 7*86400 LIMIT 5000; SELECT ROW_COUNT()')" -gt 0 ]
do sleep 1; done""",
        remedies=(DATABASE,),
    ),
    Kind(
        "audit_index_missing",
        "A plugin purges its log table without an index",
        HIGH,
        "The column by which old rows are deleted has no index, so that every purge reads the "
        "whole table, every day.",
        "The index is added online.",
        "Add the index. It reads the table once and does not lock it.",
        shell="mysql DATABASE -e 'ALTER TABLE wp_aiowps_audit_log ADD INDEX created (created), "
        "ALGORITHM=INPLACE, LOCK=NONE'",
        remedies=(DATABASE,),
    ),
    Kind(
        "slow_log_off",
        "The database keeps no slow log",
        LOW,
        "The database is in trouble and does not note which statements take long. The slow log is "
        "what leads to the site and the table.",
        "It is switched on by a drop-in, for statements over 4 seconds.",
        "Switch it on now, and in a drop-in for the next start.",
        shell="mysql -e 'SET GLOBAL slow_query_log=1, GLOBAL long_query_time=4'\n"
        "printf '[mysqld]\\nslow_query_log=1\\nlong_query_time=4\\n' "
        "> /etc/mysql/mariadb.conf.d/90-slow.cnf",
        remedies=(DATABASE,),
    ),
    Kind(
        "evidence_partial",
        "Not everything could be read",
        LOW,
        "A part of the evidence is missing or was cut short by its time budget. What was read "
        "stands; what was not read may hold more.",
        "Nothing: the judgement says what it rests on.",
        "Run the probe again with more time (`probe_time_budget`) or a shorter window "
        "(`wpward_since`), and see to what the message names.",
        shell="ansible-playbook wpward.wordpress.probe -i inventory -e probe_time_budget=120",
    ),
)
