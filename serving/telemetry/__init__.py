"""What operators see of a running router: metrics, traces, logs."""
