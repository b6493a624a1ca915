"""What operators see of a node: structured logs and Prometheus metrics."""
