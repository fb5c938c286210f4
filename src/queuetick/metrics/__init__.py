"""Events become Prometheus text on an HTTP port."""
