# The release that this element is for, and what its vendor has for it.
export DIB_RELEASE=${DIB_RELEASE:-xenial}
export PERCONA_SERIES=${PERCONA_SERIES:-56}
