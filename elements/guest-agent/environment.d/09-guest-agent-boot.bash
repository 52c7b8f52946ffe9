# Before 10-*, where the elements of the machine have their own ideas. Nobody sits at the console of a database; and without
# the machine's own name in /etc/hosts each sudo of the agent would ask a name server.
export DIB_GRUB_TIMEOUT=${DIB_GRUB_TIMEOUT:-0}
export DIB_CLOUD_INIT_ETC_HOSTS=${DIB_CLOUD_INIT_ETC_HOSTS:-localhost}
