"""What a mention is, and how sure a table can be of it."""

from dataclasses import dataclass
from typing import Literal

from forge_inference.science.text.document import Span

Type = Literal["gene", "family", "complex", "variant", "rsid", "accession", "disease", "pathway", "drug"]
TYPES: tuple[Type, ...] = ("gene", "family", "complex", "variant", "rsid", "accession", "disease", "pathway", "drug")

# grounded: one entry of a table; ambiguous: several, none is picked; ungrounded: known for what it is, in no table;
# syntax_only: well formed, and nothing more is claimed.
Status = Literal["grounded", "ambiguous", "ungrounded", "syntax_only"]
Method = Literal["lexicon", "rule", "abbreviation"]


@dataclass(frozen=True, slots=True)
class Identifier:
    """An entry of a table: HGNC:11998, TP53, and which table says so."""

    id: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Variant:
    """What the grammar reads in a variant. Without reference sequences nobody can know whether base 1799 is a T."""

    kind: str
    level: str | None  # g, c, n, r, p or m
    canonical: str
    reference: str | None = None
    gene: str | None = None  # the symbol that stands before it, or nearest before it
    gene_inferred: bool = False
    assembly: str | None = None
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Mention:
    """One place in a clean text."""

    span: Span
    text: str
    type: Type
    status: Status
    method: Method
    identifier: Identifier | None = None
    candidates: tuple[Identifier, ...] = ()
    notes: tuple[str, ...] = ()
    variant: Variant | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Equal for two mentions of one thing."""
        if self.identifier:
            return self.type, self.identifier.id
        return self.type, self.variant.canonical if self.variant else self.text
