# Succeeds where fail2ban runs all of the jails that are its arguments. One question for all, since every start of
# fail2ban's client costs a third of a second on a busy host.
jails=$(fail2ban-client status) || exit 1
jails=" $(echo "$jails" | sed -n 's/.*Jail list:[[:space:]]*//p' | tr ',' ' ') "
for jail; do
    case $jails in
    *" $jail "*) ;;
    *)
        echo "fail2ban runs no jail $jail" >&2
        exit 1
        ;;
    esac
done
