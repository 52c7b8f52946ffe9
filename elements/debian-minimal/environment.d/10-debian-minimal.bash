# The mirror has no default here: without DIB_DISTRIBUTION_MIRROR it is found out on the build host
# (bootstrap-sources/debian).
export DISTRO_NAME=debian
export DIB_RELEASE=${DIB_RELEASE:-stable}
export DIB_INIT_SYSTEM=systemd
export EFI_BOOT_DIR=EFI/debian

export DIB_DEBIAN_COMPONENTS=${DIB_DEBIAN_COMPONENTS:-main}
export DIB_DEBIAN_COMPONENTS_WS=${DIB_DEBIAN_COMPONENTS//,/ }
export DIB_DISTRIBUTION_MIRROR=${DIB_DEBIAN_DISTRIBUTION_MIRROR:-${DIB_DISTRIBUTION_MIRROR:-}}

# What root.d/75 and package-installs.yaml ask for: with mmdebstrap all of it comes in the one run of the bootstrap.
# Bootable, with time and login sessions ...
DIB_BOOTSTRAP_PACKAGES="${DIB_BOOTSTRAP_PACKAGES:-} systemd-sysv systemd-timesyncd libpam-systemd libnss-systemd"
DIB_BOOTSTRAP_PACKAGES+=" dbus-user-session busybox sudo gnupg2 python3 zstd"
# ... and what one looks for first on a machine that one has reached only by its serial line.
DIB_BOOTSTRAP_PACKAGES+=" netbase iproute2 iputils-ping curl fdisk less cron logrotate"
case "${ARCH:-}" in
    amd64 | arm64) DIB_BOOTSTRAP_PACKAGES+=" linux-image-$ARCH" ;;
esac
# The root filesystem's own tools: the initramfs checks it with them. Not every release has e2fsprogs by itself.
case "${FS_TYPE:-ext4}" in
    ext2 | ext3 | ext4) DIB_BOOTSTRAP_PACKAGES+=" e2fsprogs" ;;
    xfs) DIB_BOOTSTRAP_PACKAGES+=" xfsprogs" ;;
    btrfs) DIB_BOOTSTRAP_PACKAGES+=" btrfs-progs" ;;
esac
# Name servers for systemd-networkd, and for netplan, which uses it. Before bookworm it is a part of systemd; these two
# elements bring another way to the network, which writes /etc/resolv.conf itself.
case "$DIB_RELEASE ${IMAGE_ELEMENT:-} " in
    stretch* | buster* | bullseye*) ;;
    *" simple-init "* | *" dhcp-all-interfaces "*) ;;
    *) DIB_BOOTSTRAP_PACKAGES+=" systemd-resolved" ;;
esac
export DIB_BOOTSTRAP_PACKAGES
