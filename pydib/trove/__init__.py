"""Guest images for OpenStack Trove: building them, and finding out whether the guest agent in them works."""
