#!/bin/bash
# Everything that a rollback has to restore: bytes, type, mode, owner, time of change, ACLs. Logs, the
# journal itself and the databases, which live on meanwhile, are no configuration.
set -eu
cd /
find etc var/www usr/local var/spool/cron \
    \( -type f -printf '%p|%y|%m|%U|%G|%T@\n' -o -printf '%p|%y|%m|%U|%G|%l\n' \) | sort
find etc var/www usr/local -type f -print0 | sort -z | xargs -0 sha256sum
getfacl -R -n -p /etc/nginx /var/www
