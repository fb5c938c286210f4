"""`queuetick simulate`: the simulator alone; the room simulator/ declares and runs it."""

from queuetick.simulator.command import add_arguments, run

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "the embedded Genesys Cloud, alone, with its fault knobs"
