"""Runs the steps of a recipe that must run, each as a separate process."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Final, Literal

from boxwright import BoxwrightError, Run, RunError
from boxwright_cli.meanings import Meaning
from boxwright_cli.recipes.cache import Cache, Entry, State
from boxwright_cli.recipes.checks import versions_of
from boxwright_cli.recipes.contents import Contents, Listing, difference, is_compared, overlaps, places
from boxwright_cli.recipes.plan import Plan, Step

_SAME_RESULT: Final = frozenset({"overwrite", "workers", "engine", "address"})
"""Options that decide where and how fast a command works, and not what its result is."""

Action = Literal["run", "resume", "done", "skip"]


@dataclass(frozen=True)
class Outcome:
    """What happens, or happened, to a step.

    Attributes:
        step: The step.
        action: Whether it runs, resumes, is done already, or was not selected.
        reasons: Why it runs.
        result: The numbers of its result.
        seconds: The time that it took.
    """

    step: Step
    action: Action
    reasons: tuple[str, ...] = ()
    result: dict[str, float | None] | None = None
    seconds: float = 0.0

    @property
    def words(self) -> list[str]:
        """The words of the command."""
        resume = ["--resume"] if self.action == "resume" else []
        return [self.step.command.name, *resume, *self.step.command.words(self.step.given)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "step": self.step.name,
            "matrix": self.step.matrix,
            "command": self.words,
            "action": self.action,
            "reasons": list(self.reasons),
            "result": self.result,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Finished:
    """The end of a step's process: its exit code, and the JSON object that it printed."""

    code: int
    content: dict[str, Any]


Execute = Callable[[list[str]], Finished]


class StepFailedError(BoxwrightError):
    """A step ended with an error."""

    def __init__(self, message: str, remedy: str, code: int) -> None:
        super().__init__(message, remedy)
        self.exit_code = code


class Runner:
    """Decides which steps of a plan must run, and runs them.

    Args:
        plan: The plan.
        cache: The results of earlier runs.
        execute: Runs a command.
        selected: The names of the steps that may run.
        overwrite: Whether outputs may be replaced that the recipe did not make.
    """

    def __init__(
        self, plan: Plan, cache: Cache, execute: Execute, selected: Sequence[str], *, overwrite: bool = False
    ) -> None:
        self.plan, self.cache, self.execute, self.selected = plan, cache, execute, frozenset(selected)
        self.overwrite = overwrite
        self.contents = Contents()
        self.values = {step.label: step.command.parse(step.given) for step in plan.steps}

    def dry_run(self) -> list[Outcome]:
        """Returns what a run would do."""
        outcomes: list[Outcome] = []
        pending: set[str] = set()
        for step in self.plan.steps:
            outcome = self.decide(step, pending)
            if outcome.action in ("run", "resume"):
                pending.add(step.label)
            outcomes.append(outcome)
        return outcomes

    def run(self, begin: Callable[[Outcome], None]) -> list[Outcome]:
        """Runs what must run.

        Args:
            begin: Called with each step, before it runs or is left out.

        Raises:
            StepFailedError: A step failed.
            KeyboardInterrupt: After the step that was running has ended.
        """
        outcomes: list[Outcome] = []
        for step in self.plan.steps:
            outcome = self.decide(step, set())
            begin(outcome)
            outcomes.append(self._perform(outcome) if outcome.action in ("run", "resume") else outcome)
        return outcomes

    def decide(self, step: Step, pending: set[str]) -> Outcome:
        """Returns whether a step must run, and why.

        Args:
            step: The step.
            pending: The labels of steps that will have run before it.
        """
        makers = self._makers(step)
        now = self._state(step, makers)
        entry = self.cache.get(step.name, now.digest)
        if step.name not in self.selected:
            known = entry is not None and entry.done and not entry.state.changes(now)
            return Outcome(step, "skip", (), entry.result if entry and known else None)
        reasons = self._reasons(step, now, entry)
        reasons += [f"{maker.label} runs before it" for maker in makers if maker.label in pending]
        reasons += [
            f"{key} is at a URL or from a camera, whose content is not compared"
            for key, meaning, value in self._places(step, "reads")
            if not is_compared(meaning, value)
        ]
        if not reasons:
            assert entry is not None
            return Outcome(step, "done", (), entry.result, entry.seconds)
        interrupted = entry is not None and entry.owned and not entry.done and not entry.state.changes(now)
        action: Action = "resume" if interrupted and self._is_resumable(step) else "run"
        return Outcome(step, action, tuple(reasons))

    def _reasons(self, step: Step, now: State, entry: Entry | None) -> list[str]:
        """Returns why the entry of a step is not its result."""
        found = entry or self.cache.latest(step.label)  # with other options
        if found is None or found.adopted:
            return ["it has not run yet"]
        reasons = found.state.changes(now)
        if not found.done:
            return ["it was not finished", *reasons]
        same = set(found.places) == set(self._written(step, "writes"))
        return [*reasons, *self._damage(step, found)] if entry or same else reasons

    def adopt(self, step: Step) -> None:
        """Records a step whose command has just run outside the recipe, so that a run of the recipe does not repeat it.

        A step that measures runs again, because its numbers are not known, and may replace its outputs.
        """
        state = self._state(step, self._makers(step))
        entry = Entry(step.label, state, owned=True, places=self._written(step, "writes"))
        if step.command.measures:
            self.cache.put(step.name, replace(entry, adopted=True))
            return
        outputs = self._outputs(step)
        self.cache.put(step.name, replace(entry, done=True, outputs=outputs, current=outputs))
        self._note_changes(step)

    def _perform(self, outcome: Outcome) -> Outcome:
        step = outcome.step
        state = self._state(step, self._makers(step))
        before = self.cache.get(step.name, state.digest)
        writes = self._written(step, "writes")
        owned = self.overwrite or not self._exists(step) or self.cache.made().issuperset(writes)
        entry = Entry(step.label, state, owned=owned, places=sorted(writes) if owned else [])
        self.cache.put(step.name, entry)
        words = outcome.words
        replaces = outcome.action == "run" and owned and step.command.overwrites and self._exists(step)
        if replaces and "--overwrite" not in words:
            words.insert(1, "--overwrite")
        started = time.perf_counter()
        finished = self.execute(words)
        seconds = time.perf_counter() - started
        self.contents.forget(self._written(step))
        if finished.code:
            if not self._exists(step):  # what is put there now is not the recipe's
                self.cache.put(step.name, replace(entry, places=before.places if before else []))
            raise self._failure(step, finished)
        result = numbers_of(finished.content)
        # An input that did not exist was created, such as a label map.
        inputs = self._state(step, self._makers(step)).inputs | {k: v for k, v in state.inputs.items() if v}
        outputs = self._outputs(step)
        entry = replace(entry, state=replace(state, inputs=inputs), done=True, outputs=outputs, current=outputs)
        self.cache.put(step.name, replace(entry, result=result, seconds=round(seconds, 2)))
        self._note_changes(step)
        return replace(outcome, result=result, seconds=seconds)

    def _failure(self, step: Step, finished: Finished) -> StepFailedError:
        error = finished.content.get("error", {})
        file, place = error.get("file", ""), error.get("place", "")
        where = f"{file}, {place}: " if file and place else f"{file}: " if file else ""
        code, ended = finished.code, f"it ended with exit code {finished.code}"
        if code < 0:
            code, ended = 1, f"it was ended by signal {-code}"
        problem = f"{where}{error['problem']}" if error else ended
        line = f"{self.plan.recipe.path}, line {step.text.line}, step {step.label}"
        remedy = error.get("remedy") or "correct it, and run the recipe again; steps that are done are not repeated"
        if not error and finished.code > 0:  # such as problems that validate found
            remedy = f"see what it found: boxwright {shlex.join([step.command.name, *step.command.words(step.given)])}"
        return StepFailedError(f"{line}: {problem}", remedy, code)

    def _note_changes(self, step: Step) -> None:
        """Accepts the outputs of earlier steps as this one has changed them."""
        changed = [place for _, meaning, value in self._places(step, "changes") for place in places(meaning, value)]
        for maker in self._before(step):
            if self._writes_any(maker, changed):
                self.cache.update_current(maker.name, self._identity(maker).digest, self._outputs(maker))

    def _state(self, step: Step, makers: Sequence[Step]) -> State:
        made = [place for maker in makers for place in self._written(maker)]
        inputs: dict[str, Listing] = {}
        for key, meaning, value in self._places(step, "reads", "changes"):
            if not all(any(_within(place, other) for other in made) for place in places(meaning, value)):
                inputs[key] = self.contents.of(meaning, value)
        after = {f"{maker.name}, {', '.join(self._written(maker))},": self._digest(maker) for maker in makers}
        versions = versions_of(step, self.values[step.label])
        return replace(self._identity(step), versions=versions, inputs=inputs, after=after)

    def _identity(self, step: Step) -> State:
        """Returns the part of a step's state by which its entry is found."""
        values = self.values[step.label].items()
        return State(step.command.name, {key: _plain(value) for key, value in values if key not in _SAME_RESULT})

    def _digest(self, maker: Step) -> str:
        """Returns the digest of a step's outputs: as it left them, or as they are if it is not known to have run."""
        entry = self.cache.get(maker.name, self._identity(maker).digest)
        outputs = entry.outputs if entry is not None and entry.done else self._outputs(maker)
        return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()[:32]

    def _damage(self, step: Step, entry: Entry) -> list[str]:
        """Returns what happened to the outputs since the step ended."""
        now = self._outputs(step)
        return [f"{key}: {words}" for key in now if (words := difference(entry.current.get(key, {}), now[key]))]

    def _outputs(self, step: Step) -> dict[str, Listing]:
        found = {}
        for key, meaning, value in self._places(step, "writes", "changes"):
            found[key] = self.contents.of(Meaning(meaning.what, "writes"), value, images=True)
        return found

    def _makers(self, step: Step) -> list[Step]:
        """Returns the earlier steps that make or change an input of a step."""
        read = [
            place for _, meaning, value in self._places(step, "reads", "changes") for place in places(meaning, value)
        ]
        return [other for other in self._before(step) if self._writes_any(other, read)]

    def _before(self, step: Step) -> list[Step]:
        return self.plan.steps[: self.plan.steps.index(step)]

    def _writes_any(self, step: Step, paths: Sequence[str]) -> bool:
        return any(overlaps(written, path) for written in self._written(step) for path in paths)

    def _written(self, step: Step, *roles: str) -> list[str]:
        found = self._places(step, *(roles or ("writes", "changes")))
        return [place for _, meaning, value in found for place in places(meaning, value)]

    def _places(self, step: Step, *roles: str) -> list[tuple[str, Meaning, Any]]:
        values = self.values[step.label]
        return [
            (key, meaning, values[key])
            for key, meaning in step.command.meanings.items()
            if meaning.role in roles and values[key] not in (None, "", [], ())
        ]

    def _exists(self, step: Step) -> bool:
        return any(self.contents.of(Meaning(m.what, "writes"), value) for _, m, value in self._places(step, "writes"))

    def _is_resumable(self, step: Step) -> bool:
        if not step.command.resumes:
            return False
        for _, _, value in self._places(step, "writes"):
            try:
                return not Run.resumable(str(value)).is_barren()
            except RunError:
                return False
        return False


def _within(path: str, other: str) -> bool:
    return overlaps(path, other) and path.count(os.sep) >= other.count(os.sep)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def numbers_of(content: dict[str, Any]) -> dict[str, float | None]:
    """Returns the numbers of a result that are shown in the table: those of an evaluation."""
    values = content.get("values")
    if not isinstance(values, dict):
        return {}
    return {name: value for name, value in values.items() if value is None or isinstance(value, int | float)}


def execute_apart(flags: Sequence[str], lock: IO[str]) -> Execute:
    """Returns a function that runs a command in a separate process, with its messages on stderr.

    Args:
        flags: Global flags of the program for each command.
        lock: The file that stays locked as long as the command runs, even if this process is killed.
    """

    def execute(words: list[str]) -> Finished:
        program = [sys.executable, "-m", "boxwright_cli", *flags, words[0], "--json", *words[1:]]
        posix: dict[str, Any] = {"start_new_session": True, "pass_fds": (lock.fileno(),)} if os.name == "posix" else {}
        with subprocess.Popen(program, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **posix) as process:
            try:
                printed, _ = process.communicate()
            except BaseException as error:
                if os.name == "posix":  # elsewhere, Ctrl-C reaches it as well
                    process.send_signal(signal.SIGINT if type(error) is KeyboardInterrupt else signal.SIGTERM)
                process.communicate()
                raise
        try:
            content = json.loads(printed)
        except ValueError:
            content = {}
        return Finished(process.returncode, content if isinstance(content, dict) else {})

    return execute
