"""`queuetick check`: named checks of one set-up, from its configuration to the last queue id. See docs/check.md."""
