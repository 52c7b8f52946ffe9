# POWER machines have no UEFI.
case "${ARCH:-}" in
    ppc64 | ppc64el | ppc64le | powerpc)
        echo "block-device-efi-4k: $ARCH cannot boot from such a disk. Use the element block-device-gpt or block-device-mbr instead." >&2
        exit 1
        ;;
esac
export DIB_BLOCK_DEVICE=efi
