"""What holds for the tests of the package."""

from hypothesis import settings

# A deadline would be an assertion on time, which a busy machine fails.
settings.register_profile("labctl", deadline=None)
settings.load_profile("labctl")
