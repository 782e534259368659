"""A language model of half a megabyte with the shape of a real one: what it says is nonsense, its tokens are real.

Written with the `gguf` package, which is llama.cpp's own writer of the format: the llama architecture in F32, a
byte-level tokenizer with one token per byte, a chat template. The same seed gives the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType
from numpy.typing import NDArray

NAME = "labctl-tiny"
CONTEXT_TOKENS = 512
_SEED = 20
_LAYERS = 2
_WIDTH = 64
_HEADS = 4
_FEED_FORWARD = 128
_MERGED = "he"  # llama.cpp wants at least one merge, and the merged token among the tokens
_BEGIN, _END = "<|begin|>", "<|end|>"
_VOCABULARY = 256 + len((_MERGED, _BEGIN, _END))
_READABLE = frozenset(b" abcdefghijklmnopqrstuvwxyz")
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)


def write_tiny_gguf(path: Path) -> None:
    """Write the model to `path`."""
    writer = GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_block_count(_LAYERS)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    _add_tokenizer(writer)
    for name, values in _tensors():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: GGUFWriter) -> None:
    tokens = [*byte_tokens(), _MERGED, _BEGIN, _END]
    kinds = [TokenType.NORMAL] * (_VOCABULARY - 2) + [TokenType.CONTROL] * 2
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(_MERGED)])
    writer.add_bos_token_id(tokens.index(_BEGIN))
    writer.add_eos_token_id(tokens.index(_END))
    writer.add_vocab_size(_VOCABULARY)
    writer.add_chat_template(_CHAT_TEMPLATE)


def byte_tokens() -> list[str]:
    """The 256 characters that stand for bytes 0 to 255 in a GPT-2 vocabulary.

    A byte that is a visible Latin-1 character stands for itself; the others take the code points from 256 on, in
    order (`bytes_to_unicode` in OpenAI's gpt-2, encoder.py).
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    substitutes = iter(range(256, 512))
    return [chr(byte if byte in visible else next(substitutes)) for byte in range(256)]


def _tensors() -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.default_rng(_SEED)

    def weights(rows: int, columns: int, spread: float) -> NDArray[np.float32]:
        return random.standard_normal((rows, columns), dtype=np.float32) * np.float32(spread / columns**0.5)

    def norm() -> NDArray[np.float32]:
        return np.ones(_WIDTH, dtype=np.float32)

    # Wide in the blocks and narrow in the embedding, so that the context counts: the other way round it would
    # repeat one letter.
    yield "token_embd.weight", weights(_VOCABULARY, _WIDTH, 0.3)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", norm()
        for projection in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{block}.{projection}.weight", weights(_WIDTH, _WIDTH, 3)
        yield f"{block}.ffn_norm.weight", norm()
        yield f"{block}.ffn_gate.weight", weights(_FEED_FORWARD, _WIDTH, 3)
        yield f"{block}.ffn_up.weight", weights(_FEED_FORWARD, _WIDTH, 3)
        yield f"{block}.ffn_down.weight", weights(_WIDTH, _FEED_FORWARD, 3)
    yield "output_norm.weight", norm()
    # Only letters and the space can score: half a UTF-8 character or an early end would hide the tokens.
    output = weights(_VOCABULARY, _WIDTH, 4)
    output[[token for token in range(_VOCABULARY) if token not in _READABLE]] = 0
    yield "output.weight", output
