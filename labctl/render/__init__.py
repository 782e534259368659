"""From a plan to the files that run it on one host, and the manifest by which the host takes them. Pure."""
