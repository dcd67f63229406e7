"""A toy exchange, unlike OKX in all that can differ: the files that it adds, one for each package."""
