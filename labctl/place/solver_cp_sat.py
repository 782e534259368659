"""CP-SAT of OR-tools, given text and giving numbers.

Its Python front end (`cp_model`) imports pandas: a second of start-up. The module under it, which the wheel carries
with types, imports nothing and reads the model from text, whose format is OR-tools' published `cp_model.proto`.
"""

from dataclasses import dataclass

# Kept as one process, one thread and one seed do the same search every time; `max_deterministic_time` counts work.
PARAMETERS = "num_workers:1 random_seed:1 linearization_level:2 add_lp_constraints_lazily:false"
OPTIMAL, FEASIBLE, INFEASIBLE = 4, 2, 3


@dataclass(frozen=True)
class Answer:
    """values: of every variable, None when none was found. bound: of the objective, None when not known.

    impossible: it was proven that there is none. spent: of the budget.
    """

    values: list[int] | None
    bound: int | None
    impossible: bool
    spent: float


class CpSat:
    """One model, solved again and again. text: as `cp_model.proto` has it."""

    def __init__(self, text: str) -> None:
        from ortools.sat.python import cp_model_helper

        self._library = cp_model_helper
        self._model = cp_model_helper.CpModelProto()
        self._add(text)

    def _add(self, text: str) -> None:
        if text and not self._model.merge_text_format(text):
            raise AssertionError("OR-tools did not read its own format")

    def restrict(self, text: str) -> None:
        """Constraints that hold from now on."""
        self._add(text)

    def least(self, objective: str, hint: str, budget: float) -> Answer:
        """Solves for the least value of an objective, starting from a hint."""
        self._model.clear_objective()
        self._model.clear_solution_hint()
        self._add(objective)
        self._add(hint)
        parameters = self._library.SatParameters()
        if not parameters.parse_text_format(f"{PARAMETERS} max_deterministic_time:{budget:.6f}"):
            raise AssertionError("OR-tools did not read its own parameters")
        wrapper = self._library.SolveWrapper()
        wrapper.set_parameters(parameters)
        response = wrapper.solve(self._model)  # type: ignore[no-untyped-call] # its stub says nothing
        status = int(response.status)
        spent = response.deterministic_time
        if status not in (OPTIMAL, FEASIBLE):
            return Answer(None, None, status == INFEASIBLE, spent)
        return Answer(
            list(response.solution), round(response.best_objective_bound), impossible=False, spent=spent
        )
