"""How facts become lines and reach a descriptor: the only writer."""

from queuetick.lines.emitter import Emitter, install_logging

__all__ = ["Emitter", "install_logging"]
