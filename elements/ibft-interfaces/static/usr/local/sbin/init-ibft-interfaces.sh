#!/bin/bash
# init-ibft-interfaces.sh: addresses for the network cards that the firmware names in its iBFT (iSCSI Boot Firmware Table).
# dib-lint: disable=dibdebugtrace
set -eu -o pipefail

command -v iscsistart >/dev/null || {
    echo "ibft-interfaces: iscsistart is not installed" >&2
    exit 1
}
if ! iscsistart -f; then
    echo "ibft-interfaces: the firmware has no iBFT"
    exit 0
fi
iscsistart -N || {
    echo "ibft-interfaces: cards of the iBFT could not be set up" >&2
    exit 1
}
udevadm settle
