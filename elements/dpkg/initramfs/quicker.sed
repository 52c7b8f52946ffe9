# Changes to initramfs-tools' hook-functions for the time of one run (see quickly). None changes the outcome. A line that
# looks different in another version stays as it is.

# Drivers are listed with all that they need, so most names come many times: look at each once. And copy them all at once
# (see copy-modules; quickly names it only if all three lines were changed).
/^manual_add_modules()/,/^}/ {
s/--show-depends "\$@"; } |$/--show-depends "$@"; } | awk '!seen[$0]++' | "${QUICKLY_COPY_MODULES:-cat}" |/
s/^\t\tif \[ "\${prefix}" != "insmod" \]; then$/\t\tif [ "${prefix}" != "insmod" ] \&\& [ "${prefix}" != "copied" ]; then/
s/^\t\tcopy_file module "\${kmod}" || continue$/\t\t[ "${prefix}" = "copied" ] || copy_file module "${kmod}" || continue/
}

# Two names for one directory: the shell can tell.
s/\[ "\$(readlink -f \/bin)" = \/usr\/bin \]/[ \/bin -ef \/usr\/bin ]/

# A directory that is there need not be made.
s/^\(\t*\)mkdir -p "\${DESTDIR}\/\${target%\/\*}"$/\1[ -d "${DESTDIR}\/${target%\/*}" ] || mkdir -p "${DESTDIR}\/${target%\/*}"/

# An absolute path without dots and double slashes is its own normal form.
s/^\ttarget="\$(realpath -ms "\/\${target}")" || return 2$/\tcase "${target}" in *\/\/*|*\/.\/*|*\/..\/*|*\/.|*\/..|*\/|[!\/]*) & ;; esac/
s/^\tif \[ "\${link_target}" != "\$(realpath -s "\$src")" \]; then$/\tcase "${src}" in *\/\/*|*\/.\/*|*\/..\/*|*\/.|*\/..|*\/|[!\/]*) plain="$(realpath -s "$src")" ;; *) plain="$src" ;; esac\n\tif [ "${link_target}" != "${plain}" ]; then/

# What an earlier build has found out (see remember).
s|^\(\t*\)/usr/lib/dracut/dracut-install -D |\1"${QUICKLY_REMEMBER:-env}" /usr/lib/dracut/dracut-install -D |
$a\
depmod() { "${QUICKLY_REMEMBER:-env}" depmod "$@"; }\
zstd() { if [ -n "${QUICKLY_COMPRESS:-}" ]; then "${QUICKLY_COMPRESS}" "$@"; else command zstd "$@"; fi; }
