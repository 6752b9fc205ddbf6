"""One piece of advice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tip:
    """One piece of advice, with its evidence.

    Attributes:
        kind: What it is about, such as ``images`` or ``labels``.
        advice: What to do, as one sentence.
        evidence: Why, with the figures, as one sentence.
        command: The command to type; empty if there is none.
        gain: About how much it could raise average precision (or F1, for a score), 0 to 1: the order of the advice.
        figures: The figures of the evidence by name.
    """

    kind: str
    advice: str
    evidence: str
    command: str = ""
    gain: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "advice": self.advice,
            "evidence": self.evidence,
            "command": self.command or None,
            "gain": round(self.gain, 4),
            "figures": self.figures,
        }
