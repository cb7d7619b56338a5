"""What happens at the venue: orders, identity, journal, reconcile, the one write path."""
