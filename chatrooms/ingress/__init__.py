"""Driving adapter: batches of what connections want, taken from the core into the use cases."""
