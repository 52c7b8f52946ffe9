#!/bin/bash
# dhcp-all-interfaces.sh [NAME...]: configure these interfaces for DHCP and bring them up; without names all there are.
# Left alone: what is configured already, what is not real, and what has no link after a while.
# dib-lint: disable=dibdebugtrace
set -eu -o pipefail

timeout=30
# shellcheck disable=SC1091  # written when the image was built
if [ -f /etc/default/dhcp-all-interfaces ]; then . /etc/default/dhcp-all-interfaces; fi
devices=/sys/class/net

say() {
    echo "dhcp-all-interfaces: $*"
}

layout() {
    if [ -f /etc/network/interfaces ]; then
        echo ifupdown
    elif [ -d /etc/sysconfig/network-scripts ] && command -v ifup >/dev/null; then
        echo ifcfg
    elif [ -d /etc/sysconfig/network ]; then
        echo suse
    else
        echo networkmanager
    fi
}

# is_configured NAME
is_configured() {
    case $layout in
        ifupdown) grep -qsE "^iface[[:space:]]+$1[[:space:]]" /etc/network/interfaces /etc/network/interfaces.d/* ;;
        ifcfg) [ -e "/etc/sysconfig/network-scripts/ifcfg-$1" ] ;;
        suse) [ -e "/etc/sysconfig/network/ifcfg-$1" ] ;;
        networkmanager) grep -qsxF "interface-name=$1" /etc/NetworkManager/system-connections/*.nmconnection ;;
    esac
}

# has_link NAME: wait for it; a switch may take its time
has_link() {
    local waited=0
    ip link set dev "$1" up || return 1
    while [ "$(cat "$devices/$1/carrier" 2>/dev/null || echo 0)" != 1 ]; do
        if [ "$waited" -ge "$timeout" ]; then return 1; fi
        sleep 1
        waited=$((waited + 1))
    done
}

# configure NAME, and bring it up
configure() {
    local file
    case $layout in
        ifupdown)
            # several of us may run at the same time
            file=/etc/network/interfaces
            printf 'auto %s\niface %s inet dhcp\n' "$1" "$1" | flock "$file" tee -a "$file" >/dev/null
            ifup "$1"
            ;;
        ifcfg | suse)
            file=/etc/sysconfig/network-scripts/ifcfg-$1
            if [ "$layout" = suse ]; then file=/etc/sysconfig/network/ifcfg-$1; fi
            printf 'DEVICE=%s\nBOOTPROTO=dhcp\nONBOOT=yes\nSTARTMODE=auto\nTYPE=Ethernet\n' "$1" >"$file"
            ifup "$1"
            ;;
        networkmanager)
            file=/etc/NetworkManager/system-connections/$1.nmconnection
            mkdir -p "${file%/*}"
            (
                umask 077
                printf '[connection]\nid=%s\ntype=ethernet\ninterface-name=%s\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n' "$1" "$1" >"$file"
            )
            nmcli connection load "$file"
            ;;
    esac
}

layout=$(layout)
if [ $# -eq 0 ]; then
    for path in "$devices"/*; do set -- "$@" "${path##*/}"; done
fi
for name in "$@"; do
    if [ "$name" = lo ] || [ "$(cat "$devices/$name/addr_assign_type" 2>/dev/null || echo 3)" != 0 ]; then
        say "$name is no real interface"
    elif is_configured "$name"; then
        say "$name is configured already"
    elif ! has_link "$name"; then
        say "$name has no link"
    else
        configure "$name"
        say "$name is up"
    fi
done
