"""A simulated OKX on loopback: the documented read endpoints over HTTPS, with the checks of the real one."""
