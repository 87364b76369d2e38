"""`Row`: one line of the fidelity table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Kind = Literal["check", "input", "same fact", "bound", "not computable"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A published number and what mho computes.

    Attributes:
        machine: the heading that it stands under.
        published, computed: in `unit`; None where there is no number. A published `limit` is a number that the machine
            stays above or below.
        how: where the computed number comes from.
        source, certainty: of the published number.
        note: why they differ, or what is missing.
    """

    HEAD: ClassVar[str] = (
        "| quantity | published | computed | difference | what it is | source | certainty | how it is computed, and why it differs |\n"
        "|---|---|---|---|---|---|---|---|"
    )

    machine: str
    quantity: str
    published: float | None
    computed: float | None
    unit: str
    kind: Kind
    how: str
    source: str
    certainty: str
    limit: str = ""
    note: str = ""

    @property
    def difference(self) -> str:
        if self.published is None or self.computed is None or not self.published or self.limit:
            return "–"
        per_cent = round(100 * (self.computed / self.published - 1), 2)
        return f"{per_cent:+.2f} %" if per_cent else "0.00 %"

    def markdown(self) -> str:
        why = f"{self.how}. {self.note}" if self.note else self.how
        cells = (
            self.quantity,
            f"{self.limit} {self._number(self.published)}".strip(),
            self._number(self.computed),
            self.difference,
            self.kind,
            self.source,
            self.certainty,
            why,
        )
        return f"| {' | '.join(cells)} |"

    def text(self) -> str:
        published, computed = self._number(self.published), self._number(self.computed)
        return f"{self.quantity:<52} {published:>18} {computed:>18} {self.difference:>10}  {self.kind}"

    def _number(self, value: float | None) -> str:
        if value is None:
            return "–"
        whole = float(value).is_integer() and abs(value) >= 1
        return f"{f'{value:,.0f}' if whole else f'{value:.4g}'} {self.unit}".rstrip()
