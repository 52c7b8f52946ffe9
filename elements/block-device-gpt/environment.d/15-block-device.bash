# 64-bit ARM machines start by UEFI only.
case "${ARCH:-}" in
    arm64 | aarch64)
        echo "block-device-gpt: $ARCH cannot boot from such a disk. Use the element block-device-efi instead." >&2
        exit 1
        ;;
esac
export DIB_BLOCK_DEVICE=gpt
