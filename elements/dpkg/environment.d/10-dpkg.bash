# Package scripts ask no questions during the build; what they would ask takes its default.
export DEBIAN_FRONTEND=noninteractive
