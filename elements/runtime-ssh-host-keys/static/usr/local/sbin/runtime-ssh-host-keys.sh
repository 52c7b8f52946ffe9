#!/bin/sh
# Makes the host keys that are missing, with this machine's own random numbers.
set -eu
exec ssh-keygen -A
