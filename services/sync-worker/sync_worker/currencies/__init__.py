"""Rates of currencies from a public source that is no exchange."""
