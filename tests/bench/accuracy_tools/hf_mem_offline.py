"""Runs hf-mem with a folder in place of the hub. Arguments: FOLDER REQUESTS; prints a JSON object, key → bytes.

Runs in the interpreter that has hf-mem, with nothing of labctl: every request it makes is answered from the folder.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
httpx2: Any = importlib.import_module("httpx2")


def answer(request: Any) -> Any:
    """Files below FOLDER/MODEL, and the hub's list of them."""
    path: str = request.url.path
    if path.startswith("/api/models/"):
        model = path.removeprefix("/api/models/").split("/tree/")[0]
        files = [{"type": "file", "path": each.name, "size": 0} for each in (FOLDER / model).iterdir()]
        return httpx2.Response(200, json=files, request=request)
    model, _, name = path.lstrip("/").partition("/resolve/main/")
    content = (FOLDER / model / name).read_bytes()
    wanted = request.headers.get("range")
    if wanted:
        first, last = (int(each) for each in wanted.removeprefix("bytes=").split("-"))
        return httpx2.Response(206, content=content[first : last + 1], request=request)
    return httpx2.Response(200, content=content, request=request)


def main() -> None:
    """Ask for every model of the list."""
    client = httpx2.AsyncClient

    def client_of_the_folder(**_options: object) -> Any:
        return client(transport=httpx2.MockTransport(answer), follow_redirects=True)

    httpx2.AsyncClient = client_of_the_folder
    run: Any = importlib.import_module("hf_mem.run").run
    answers: dict[str, dict[str, Any]] = {}
    for each in json.loads(Path(sys.argv[2]).read_text()):
        try:
            found = run(
                each["model"],
                experimental=True,
                max_model_len=each["context"],
                batch_size=each["parallel"],
                kv_cache_dtype=each["kv_type"],
                gguf_file=each["file"] or None,
            )
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            answers[each["key"]] = {"error": f"{type(error).__name__}: {error}"}
            continue
        answers[each["key"]] = {"weights": found.memory, "kv": found.kv_cache, "total": found.total_memory}
    json.dump(answers, sys.stdout)


main()
