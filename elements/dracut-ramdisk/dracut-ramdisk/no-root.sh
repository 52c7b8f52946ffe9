#!/bin/sh
# dib-lint: disable=sete setu setpipefail dibdebugtrace executable
# Sourced by dracut: there is no root file system to wait for.
# shellcheck disable=SC2034  # dracut reads them
root=dib
# shellcheck disable=SC2034
rootok=1
