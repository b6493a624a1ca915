"""What the application asks of the world: one Protocol a file, its contract in its docstring."""
