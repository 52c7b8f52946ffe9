# dracut-regenerate puts these into the initramfs, in images that are made with dracut
case "${DISTRO_NAME:-}" in
    debian* | ubuntu*) ;;
    *)
        if [[ ${DIB_DRACUT_ENABLED_MODULES:-} != *"name: iscsi"* ]]; then
            export DIB_DRACUT_ENABLED_MODULES="${DIB_DRACUT_ENABLED_MODULES:-}
- name: network
- name: iscsi
"
        fi
        ;;
esac
