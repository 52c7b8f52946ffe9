export DIB_BOOTSTRAP_PACKAGES="${DIB_BOOTSTRAP_PACKAGES:-} systemd-sysv dbus libpam-systemd sudo python3 netbase iproute2"
