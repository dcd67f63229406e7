"""The routes of operators, on the operations port."""
