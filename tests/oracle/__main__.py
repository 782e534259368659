"""`python -m tests.oracle`: ask the real llama-fit-params every case anew and record its answers."""

import json
import sys
from collections import defaultdict

from tests.host.cache import open_cache
from tests.oracle.cases import all_cases
from tests.oracle.fit_params import running
from tests.oracle.image import oracle_image, package_version
from tests.oracle.rows import RECORDED, Numbers, numbers
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import write


def main() -> None:
    """Overwrites tests/cases/llama_cpp/."""
    rows: defaultdict[str, dict[str, Numbers]] = defaultdict(dict)
    wanted = set(sys.argv[1:]) or set(SHAPES)
    image = oracle_image(open_cache())
    with running(image.path, 3) as oracle:
        oracle.models.mkdir(exist_ok=True)
        for model in sorted(wanted):
            write(oracle.models / f"{model}.gguf", SHAPES[model]())
        for case in all_cases():
            if case.model in wanted:
                answer = oracle.ask(f"{case.model}.gguf", case.n_cards, case.arguments)
                rows[case.model][case.key] = numbers(answer)
    RECORDED.mkdir(parents=True, exist_ok=True)
    for model, answers in rows.items():
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in answers.items())
        head = f'{{"program": "llama-fit-params", "package": "llama.cpp {package_version(image.path)}", "rows": {{\n'
        (RECORDED / f"{model}.json").write_text(f"{head}{lines}\n}}}}\n")
        print(f"{model}: {len(answers)} answers")
    image.release()


if __name__ == "__main__":
    main()
