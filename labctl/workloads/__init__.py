"""What a person asks for: the workloads file, and the services it names."""
