# The release that this element is for.
export DIB_RELEASE=${DIB_RELEASE:-trusty}
