"""Syncs: opening, settling, recording and announcing them."""
