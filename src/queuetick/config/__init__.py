"""File, `.env`, environment and credentials become one `Config`, or every problem in them."""

from queuetick.config.settings import (
    SECTIONS,
    Config,
    ConfigError,
    Credentials,
    Genesys,
    Log,
    Metrics,
    Output,
    Poll,
    Queues,
    Stats,
)
