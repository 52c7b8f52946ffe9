# The release that this element is for, and what its vendor has for it.
export DIB_RELEASE=${DIB_RELEASE:-trusty}
export CASSANDRA_RELEASE=${CASSANDRA_RELEASE:-21x}
export CASSANDRA_JAVA=${CASSANDRA_JAVA:-7}
