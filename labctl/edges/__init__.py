"""The edges: pyinfra, SSH, pytest, files. Everything that touches a host or reads the world is here and nowhere else."""
