"""What a host should look like, what it looks like, and the difference: pure values and text.

A role yields resources. Each resource says what has to be observed (its probes), compares that with what is wanted, and
writes the one shell script that closes the gap. `survey` turns the probes of all resources into a single remote command
and its output back into values. Nothing here imports pyinfra, opens a socket, reads a clock or starts a process.

Every comparison is by level, never by edge: a resource looks at the state of the host, not at whether an earlier
operation changed something, so a run that was killed anywhere is completed by the next one.
"""
