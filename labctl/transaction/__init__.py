"""What runs on the host and takes it from one generation of services to the next, whole or not at all.

Shipped as one file (`labctl.edges.transaction_program`), so this package imports the standard library, `labctl.errors`
and `labctl.mask`, and nothing else. The host's own systemd runs it: the client that asked may go away.

    /var/lib/labctl/stages/ID/          what is to be: manifest.json, plan.json, units/, systemd/, files/
    /var/lib/labctl/generations/N/      what was, with `current` pointing at what is
    /var/lib/labctl/data-images.json    versions of data that moves one way, also of services that are away
    /var/lib/labctl/transaction/        what is under way: state.json, before/ — gone when it is over
"""
