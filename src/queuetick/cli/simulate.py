"""`queuetick simulate`: the simulator alone; the room simulator/ declares and runs it."""

from queuetick.simulator.command import add_arguments, run

__all__ = ["MORE", "SUMMARY", "add_arguments", "run"]

SUMMARY = "run the simulated Genesys Cloud alone; it can be made to fail"

MORE = """\
examples:
  queuetick simulate --queues 200
  queuetick simulate --env .env          in another terminal, same directory: queuetick run
  queuetick simulate --fault list        the faults by name; then --fault NAME

exit codes:
  0   stopped as asked
  1   a fault, such as a port that is taken
  2   invalid arguments

Read docs/simulator.md.
"""
