"""Rows of the database as structs, without SQL; the modules of `gateway.store` read and write them."""
