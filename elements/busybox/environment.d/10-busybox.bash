export DISTRO_NAME=busybox
export DIB_RELEASE=${DIB_RELEASE:-1}
export DIB_INIT_SYSTEM=sysv
# There is nothing that could be installed, or brought up to date.
export DIB_AVOID_PACKAGES_UPDATE=1
export DIB_SKIP_BASE_PACKAGE_INSTALL=1
export DIB_BOOTLOADER_FROM_HOST=1
