"""pydib builds disk images from diskimage-builder elements, without diskimage-builder."""

__version__ = "0.1.0"
