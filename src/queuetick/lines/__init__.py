"""How facts become lines and reach a descriptor: the only writer."""

from queuetick.lines.writer import Emitter, install_logging

__all__ = ["Emitter", "install_logging"]
