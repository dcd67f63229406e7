"""What operators see and do: the state of the system, dead letters, users and exchanges."""
