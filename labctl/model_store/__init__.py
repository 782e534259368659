"""What runs on the host and keeps its folder of models: fetches files, lists what lies there, removes it.

Shipped as one file (`labctl.edges.model_store_program`), so this package imports the standard library and
`labctl.errors`, and nothing else. The host's own systemd runs a pull: the client that asked may go away.

    FOLDER/PLACE                a model: a file, or a folder of files
    FOLDER/PLACE.labctl.json    what it is: where it came from, and each of its files with size and checksum
    FOLDER/PLACE.part/          what has come so far; NAME there is verified, NAME.part is under way
    FOLDER/.labctl.lock         held by the pull that runs

A file gets its final name when it was verified, so a model is whole exactly when all its files are there.
"""
