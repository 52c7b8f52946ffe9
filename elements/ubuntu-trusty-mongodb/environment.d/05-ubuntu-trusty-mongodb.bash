# The release that this element is for, and what its vendor has for it.
export DIB_RELEASE=${DIB_RELEASE:-trusty}
export MONGODB_SERIES=${MONGODB_SERIES:-3.2}
