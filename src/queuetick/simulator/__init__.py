"""A Genesys Cloud in one process, over real HTTP. Imports nothing of the rest of queuetick."""
