# The release that this element is for.
export DIB_RELEASE=${DIB_RELEASE:-xenial}
export DIB_USE_HWE_KERNEL=${DIB_USE_HWE_KERNEL:-false}
