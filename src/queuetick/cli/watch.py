"""`queuetick watch`: a live table of the lines; the room watch/ declares and runs it."""

from queuetick.watch import add_arguments, run

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "a live table from the lines in FILE or on stdin"
