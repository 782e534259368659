"""labctl: a home AI server, decided in pure code and applied to real hosts."""

__version__ = "0.1.0"
