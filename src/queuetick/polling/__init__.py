"""From a tick to a report: cycle, batches, snapshots; capacity, schedule and selection."""
