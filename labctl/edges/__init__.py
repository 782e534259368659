"""The edges: pyinfra, SSH, pytest, files. Whatever touches a host or reads the world is here and nowhere else."""
