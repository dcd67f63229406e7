"""Who a user is: passwords, sessions, tokens."""
