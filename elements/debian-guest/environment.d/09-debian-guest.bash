# The release that these guests were booted with; before 10-debian-minimal, whose idea is whatever is stable now.
export DIB_RELEASE=${DIB_RELEASE:-bookworm}
