"""The HTTP edge beside the routes: problems, limits, bodies, the client's address."""
