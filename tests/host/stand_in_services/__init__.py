"""Programs of stand-in images, which run in containers: they import Debian's packages and each other alone."""
