"""Under any weather, every queue of every cycle is accounted for."""
