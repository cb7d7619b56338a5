"""Who may act: the lease, its stores, the heartbeat and the kernel fence."""
