"""How events become lines and reach a descriptor: the only writer, and the one mask of secrets."""

from queuetick.lines.output import open_output, stdout_is_journal
from queuetick.lines.redaction import Redaction
from queuetick.lines.stdlib import install_logging
from queuetick.lines.writer import Emitter

__all__ = ["Emitter", "Redaction", "install_logging", "open_output", "stdout_is_journal"]
