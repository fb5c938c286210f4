"""`queuetick simulate`: the simulator alone; the room simulator/ declares and runs it."""

from queuetick.simulator.command import add_arguments, run

__all__ = ["MORE", "SUMMARY", "add_arguments", "run"]

SUMMARY = "the embedded Genesys Cloud, alone, with its fault knobs"

MORE = """\
examples:
  queuetick simulate --queues 200
  queuetick simulate --port 8080 --faults faults.toml

exit codes:
  0   stopped as asked
  1   a fault, such as a port that is taken
  2   invalid arguments

Read docs/simulator.md.
"""
