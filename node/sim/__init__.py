"""The production node under simulated time, network, stores, disks and venue."""
