"""queuetick: Genesys Cloud queue observations as JSON lines, every 15 seconds."""

__version__ = "0.2.0"
