#!/bin/sh
# dib-lint: disable=sete setu setpipefail dibdebugtrace executable
# Sourced by dracut: the pieces of all elements.
bash /dib-init
