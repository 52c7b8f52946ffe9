#!/bin/bash
# dib-lint: disable=sete setu setpipefail dibdebugtrace executable
# A module of dracut (dracut.modules(7)): what elements have for a ramdisk, run before a root file system would be mounted.
# shellcheck disable=SC2154  # dracut sets moddir and initdir

check() {
    return 255
}

depends() {
    echo "base kernel-modules udev-rules"
}

installkernel() {
    instmods '=drivers/net/ethernet' '=drivers/net/phy' =drivers/target =drivers/char/ipmi af_packet vmxnet3 hv_netvsc
}

install() {
    local file name
    inst_hook cmdline 80 "$moddir/no-root.sh"
    inst_hook pre-mount 50 "$moddir/run-init.sh"
    while IFS= read -r file; do
        inst "$DIB_RAMDISK_TREE/$file" "/$file"
    done < <(cd "$DIB_RAMDISK_TREE" && find . -type f -printf '%P\n')
    inst "$BUSYBOX" /usr/bin/busybox
    while IFS= read -r name; do
        if [ ! -e "$initdir/usr/bin/$name" ] && [ ! -e "$initdir/usr/sbin/$name" ]; then
            ln -s busybox "$initdir/usr/bin/$name"
        fi
    done < <("$BUSYBOX" --list)
}
