"""The HTTP edge, one module per noun of the API."""
