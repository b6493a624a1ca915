"""Driving adapter for operators on the same host: a unix socket beside the database."""
