"""The life of the process: start, signals, reload, watchdog, stop."""
