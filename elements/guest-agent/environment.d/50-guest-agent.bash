# What the scripts of this element, and those of the databases' elements, are told.
export TROVE_AGENT=${TROVE_AGENT:-build}
export TROVE_VERSION=${TROVE_VERSION:-26.0.0}
export GUEST_USERNAME=${GUEST_USERNAME:-trove}
export GUEST_LOGDIR=${GUEST_LOGDIR:-/var/log/trove/}
export TROVE_CONTROL_EXCHANGE=${TROVE_CONTROL_EXCHANGE:-trove}
export TROVE_SSH_PORT=${TROVE_SSH_PORT:-22}
