"""Names of images as Quadlet takes them: with their registry."""


def is_full(image: str) -> bool:
    """Whether it names its registry. Of a short name Quadlet warns, for nobody knows who will answer to it.

    The rule of isUnambiguousName in Podman's pkg/systemd/quadlet/quadlet.go, without images by their ID alone.
    """
    registry, slash, name = image.partition("/")
    return bool(slash and name) and (registry == "localhost" or "." in registry or ":" in registry)


def in_full(image: str) -> str:
    """What a short name most likely means: Docker Hub's, as Docker itself takes it."""
    return f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"
