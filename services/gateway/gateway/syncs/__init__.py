"""Syncs: opened, settled, recorded and told."""
