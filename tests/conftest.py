"""What counts for every test of the house."""

from hypothesis import HealthCheck, settings

# No correctness test depends on speed: hypothesis' own time limits are for one's own machine.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
