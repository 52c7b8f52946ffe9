#!/bin/bash
# Answers questions about diskimage-builder's shell code; runs in a bash of its own.
#
# driver.sh LIB SIZES
#
# LIB is the oracle's lib directory, SIZES the part of its code that computes the size of an image (cut out of the
# oracle when tests start). A request is four fields, each ended by a NUL: the name of a function below, and three
# arguments. The answer is what it printed, and its exit code, each ended by a NUL.
export _LIB=$1 LC_ALL=C
sizes=$2
unset ARCH SKIP_BASE IS_RAMDISK IMAGE_ELEMENT RUN_PARTS_REGEX
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
umask 022

# run_parts_list DIRECTORY REGEX -: names in their order
run_parts_list() {
    [ -z "$2" ] || export RUN_PARTS_REGEX=$2
    cd "$1" && exec bash "$_LIB/dib-run-parts" --list .
}

# run_parts DIRECTORY - -: runs what is in there
run_parts() {
    exec bash "$_LIB/dib-run-parts" "$1"
}

# hook_tree TREE PAIRS -: copies the elements of PAIRS, `[name]=path ...`
hook_tree() {
    pairs=$2
    export TMP_HOOKS_PATH=$1
    get_image_element_array() { echo "$pairs"; }
    source "$_LIB/die"
    source "$_LIB/common-functions"
    set -eE
    generate_hooks
}

# image_size VARIABLES - -: NAME=VALUE lines in, DIB_IMAGE_SIZE and MKFS_OPTS out
image_size() {
    local name value
    while IFS='=' read -r name value; do
        [ -z "$name" ] || printf -v "$name" '%s' "$value"
    done <<<"$1"
    sudo() { printf '%s\ttotal\n' "$TREE_KIB"; }
    TMP_BUILD_DIR=$scratch du_output=$scratch/du
    set -eE
    source "$sizes" >/dev/null
    printf '%s|%s' "$DIB_IMAGE_SIZE" "$MKFS_OPTS"
}

# wanted ARGUMENTS ARCH SWITCHES: the elements that are built when a user gives ARGUMENTS, separated by blanks
wanted() {
    local given
    read -r -a given <<<"$1"
    ARCH=$2
    case $3 in *skip*) SKIP_BASE=1 ;; esac
    case $3 in *ramdisk*) IS_RAMDISK=1 RAMDISK_ELEMENT=ramdisk ;; esac
    DIB_PYTHON_EXEC=true
    source "$sizes.functions"
    set -f
    arg_to_elements "${given[@]}" | sed -n 's/^Building elements: //p'
}

while IFS= read -r -d '' call && IFS= read -r -d '' one && IFS= read -r -d '' two && IFS= read -r -d '' three; do
    answer=$("$call" "$one" "$two" "$three" 2>&1 </dev/null)
    code=$?
    printf '%s\0%s\0' "$answer" "$code"
done
