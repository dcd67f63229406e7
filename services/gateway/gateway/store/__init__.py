"""The PostgreSQL edge, one module per noun; every function runs in the caller's transaction."""
