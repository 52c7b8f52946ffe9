# Nobody sits at the console of a database. Before 10-*, where bootloader has its own idea.
export DIB_GRUB_TIMEOUT=${DIB_GRUB_TIMEOUT:-0}
