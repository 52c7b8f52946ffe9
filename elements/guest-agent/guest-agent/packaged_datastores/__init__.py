"""Managers of databases that come from the distribution's packages, for Trove's guest agent since release 14.

Its own managers run databases in containers only. `datastore_registry_ext` of guest_info.conf names these instead.
"""
