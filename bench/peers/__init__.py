"""Peers measured beside us in the same run, each in its best-practice configuration."""
