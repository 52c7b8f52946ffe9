"""Trove 13's own managers of databases that come from packages, where today's libraries need a change to them.

`datastore_registry_ext` in /etc/trove/conf.d/zz-registry.conf names these instead of Trove's.
"""
