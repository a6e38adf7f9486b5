# Makes the recorder use the files as they are now: with our drop-in it runs, without it it is as it was before the run.
# So a rollback, which repeats this after it has put the files back, needs nothing else.
# Arguments: our drop-in, the unit, the recorder, the wanted interval in seconds, and each yes or no: whether the unit
# ran before, whether it started at boot, whether its package was installed for this.
drop_in=$1 unit=$2 recorder=$3 interval=$4 ran=$5 started_at_boot=$6 installed=$7

case $recorder in
    # Begins a new file each day.
    atop) beside=atop-rotate.timer ;;
    *) beside=sysstat.service ;;
esac
# The package's other units were not there before either.
[ "$installed" = yes ] || beside=

records_as_wanted() {
    systemctl is-active --quiet "$unit" || return 1
    [ "$recorder" = atop ] || return 1
    # Each start costs a sample: it counts from the host's boot on.
    running=$(tr '\0' '\n' < "/proc/$(systemctl show --property MainPID --value "$unit")/cmdline" | tail -n 1)
    [ "$running" = "$interval" ]
}

systemctl daemon-reload || exit 1
if [ "$installed" = yes ] && [ "$recorder" = atop ]; then
    # It accounts for every process that ends, which costs more than the samples; where the kernel does not let it, as in
    # a container, its start takes 90 seconds to fail.
    systemctl disable --quiet atopacct.service 2> /dev/null
fi
if [ -e "$drop_in" ]; then
    systemctl enable --quiet "$unit" || exit 1
    records_as_wanted || systemctl restart "$unit" || exit 1
    [ -z "$beside" ] || systemctl enable --quiet --now "$beside" || exit 1
    exit 0
fi
if [ "$ran" = yes ]; then
    systemctl restart "$unit" || exit 1
else
    systemctl stop "$unit" $beside || exit 1
fi
[ "$started_at_boot" = yes ] || systemctl disable --quiet "$unit" $beside || exit 1
