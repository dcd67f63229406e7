"""The regions of exchanges that are closed to all of us, shared by the workers behind one address."""
