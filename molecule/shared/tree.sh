#!/bin/bash
# Everything that a rollback has to restore: bytes, type, mode, owner, time of change, ACLs. Logs, the
# journal itself, the databases and WordPress's uploads live on meanwhile and are no configuration.
set -eu
cd /
roots=(etc opt var/www usr/local var/spool/cron)
[ ! -d bitnami ] || roots+=(bitnami)
living=(-path '*/wp-content/uploads' -o -path '*/app/uploads' -o -path 'opt/bitnami/*/logs' -o -path 'opt/bitnami/*/tmp'
    -o -path 'opt/bitnami/*/var/run' -o -path bitnami/mariadb)
tree=("${roots[@]}" \( "${living[@]}" \) -prune -o)
find "${tree[@]}" \( -type f -printf '%p|%y|%m|%U|%G|%T@\n' -o -printf '%p|%y|%m|%U|%G|%l\n' \) | sort
find "${tree[@]}" -type f -print0 | sort -z | xargs -0 sha256sum
find "${tree[@]}" -path '*/wp-includes' -prune -o ! -type l -print0 | sort -z |
    xargs -0 getfacl --skip-base --numeric --absolute-names
