export DIB_UBUNTU_KERNEL=${DIB_UBUNTU_KERNEL:-linux-image-generic}

# One run of the package manager brings all of this.
DIB_BOOTSTRAP_PACKAGES="${DIB_BOOTSTRAP_PACKAGES:-} $DIB_UBUNTU_KERNEL initramfs-tools systemd-sysv libpam-systemd"
DIB_BOOTSTRAP_PACKAGES+=" dbus-user-session busybox-initramfs sudo gnupg python3 zstd"
DIB_BOOTSTRAP_PACKAGES+=" netbase iproute2 iputils-ping curl fdisk less cron logrotate"
case "${FS_TYPE:-ext4}" in
    xfs) DIB_BOOTSTRAP_PACKAGES+=" xfsprogs" ;;
    btrfs) DIB_BOOTSTRAP_PACKAGES+=" btrfs-progs" ;;
    *) DIB_BOOTSTRAP_PACKAGES+=" e2fsprogs" ;;
esac
# Packages of their own since 23.04; before, parts of systemd.
case "$DIB_RELEASE ${IMAGE_ELEMENT:-} " in
    trusty* | xenial* | bionic* | focal* | jammy*) ;;
    *" simple-init "* | *" dhcp-all-interfaces "*) DIB_BOOTSTRAP_PACKAGES+=" systemd-timesyncd" ;;
    *) DIB_BOOTSTRAP_PACKAGES+=" systemd-timesyncd systemd-resolved" ;;
esac
export DIB_BOOTSTRAP_PACKAGES
