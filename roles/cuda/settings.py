"""What an inventory may say of the CUDA toolkit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class CudaSettings(BaseModel):
    """Data key `cuda`. A host without a card of NVIDIA's has none, whatever stands here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    toolkit: bool = True
    """A compiler on the host; False: containers only, each of which brings its own CUDA."""
