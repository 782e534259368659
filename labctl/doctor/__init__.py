"""Why a check fails and what to do about it: written beside the check, chosen by its message and by the host."""
