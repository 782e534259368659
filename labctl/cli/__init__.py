"""The command line: parse arguments, call what does the work, print. Nothing is decided here."""
