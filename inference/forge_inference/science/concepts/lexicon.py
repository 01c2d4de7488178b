"""Tables of names: the built-in ones, and a lab's own files in their place."""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from forge_inference.science.concepts.kinds import Type

BUILTIN = Path(__file__).parent / "lexicon"
_VERSION = "builtin-1"
_LARGEST = 256 * 2**20  # bytes of a file; HGNC has 17 MB, all of ChEBI 200
_OBO_TYPES: dict[str, Type] = {"MONDO": "disease", "DOID": "disease", "HP": "disease", "GO": "pathway", "CHEBI": "drug"}
_SYNONYM = re.compile(r'synonym: "((?:[^"\\]|\\.)*)" EXACT')
LabelKind = Literal["symbol", "name", "alias", "previous"]


@dataclass(frozen=True, slots=True)
class Label:
    """A name by which an entry is called."""

    text: str
    kind: LabelKind


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a table. `title` describes a gene, whose name is its symbol."""

    id: str
    name: str
    type: Type
    labels: tuple[Label, ...]
    source: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The entries of one file, of one type, and which file it was."""

    type: Type
    source: str  # hgnc@builtin-1, mondo@releases/2026-11-04
    digest: str  # sha256:…
    entries: tuple[Entry, ...]


class UnreadableLexicon(ValueError):
    """The file is no table that is known; the message says what was expected."""


def read(path: Path, version: str | None = None) -> list[Table]:
    """The tables of a file: HGNC's complete set (TSV), OBO of MONDO, DOID, HP, GO or ChEBI, or families.

    Raises UnreadableLexicon, also for a file without entries: it would take the place of a table that has some.
    """
    found = _tables(path, version)
    if not any(table.entries for table in found):
        raise UnreadableLexicon(f"{path}: has no entry of a type that is known")
    return found


def _tables(path: Path, version: str | None) -> list[Table]:
    if path.stat().st_size > _LARGEST:
        raise UnreadableLexicon(f"{path}: larger than {_LARGEST // 2**20} MiB")
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableLexicon(f"{path}: not UTF-8: {error}") from error
    head, version = text.partition("\n")[0], version or f"sha256-{digest[7:19]}"
    if head.startswith("format-version:"):
        return list(_obo(text, version, digest))
    columns = set(head.rstrip("\r").split("\t"))
    if {"hgnc_id", "symbol", "name"} <= columns:
        return [_table("gene", f"hgnc@{version}", digest, _genes(text, f"hgnc@{version}"))]
    if {"id", "kind", "names"} <= columns:
        source = f"families@{version}"
        found = list(_families(text, source))
        return [_table(kind, source, digest, (e for e in found if e.type == kind)) for kind in ("family", "complex")]
    raise UnreadableLexicon(f"{path}: neither OBO nor a table with the columns hgnc_id, symbol and name")


@cache
def builtin() -> tuple[Table, ...]:
    """Names that we chose, with identifiers that were compared with HGNC, MONDO, GO, ChEBI and FamPlex."""
    return tuple(table for path in sorted(BUILTIN.iterdir()) for table in read(path, _VERSION))


def tables(own: Iterable[Path] = ()) -> tuple[Table, ...]:
    """The built-in tables, each replaced where a lab's own files have its type."""
    brought = [table for path in own for table in read(path)]
    types = {table.type for table in brought}
    return (*brought, *(table for table in builtin() if table.type not in types))


def provenance(used: Iterable[Table]) -> dict[str, dict[str, str]]:
    """Which tables stand behind an answer, by type; of a type with several, each with a comma between."""
    of_type: dict[str, list[Table]] = {}
    for table in used:
        of_type.setdefault(table.type, []).append(table)
    return {
        kind: {"source": ", ".join(each.source for each in some), "digest": ", ".join(each.digest for each in some)}
        for kind, some in of_type.items()
    }


def _table(kind: Type, source: str, digest: str, entries: Iterable[Entry]) -> Table:
    return Table(kind, source, digest, tuple(entries))


def _rows(text: str) -> Iterator[Mapping[str, str]]:
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        yield {str(column): value or "" for column, value in row.items()}


def _genes(text: str, source: str) -> Iterator[Entry]:
    for row in _rows(text):
        if row.get("status", "Approved") != "Approved" or not row["symbol"]:
            continue
        labels = [Label(row["symbol"], "symbol")]
        labels += [Label(name, "alias") for name in _several(row.get("alias_symbol", ""))]
        labels += [Label(name, "previous") for name in _several(row.get("prev_symbol", ""))]
        yield Entry(row["hgnc_id"], row["symbol"], "gene", tuple(labels), source, row["name"])


def _families(text: str, source: str) -> Iterator[Entry]:
    for row in _rows(text):
        kind: Type = "complex" if row["kind"] == "complex" else "family"
        names = _several(row["names"])
        yield Entry(row["id"], names[0], kind, tuple(Label(name, "alias") for name in names), source)


def _several(cell: str) -> list[str]:
    return [name for name in cell.strip('"').split("|") if name]


def _obo(text: str, version: str, digest: str) -> Iterator[Table]:
    header, *stanzas = text.split("\n[Term]\n")
    stated = re.search(r"^data-version: (\S+)$", header, re.MULTILINE)
    version = stated[1] if stated else version
    found: dict[str, list[Entry]] = {}
    for stanza in stanzas:
        entry = _term(stanza.partition("\n[")[0], version)
        if entry:
            found.setdefault(entry.source, []).append(entry)
    for source, entries in found.items():
        yield _table(entries[0].type, source, digest, entries)


def _term(stanza: str, version: str) -> Entry | None:
    lines = dict(line.split(": ", 1) for line in reversed(stanza.splitlines()) if ": " in line)
    id_, name = lines.get("id", ""), lines.get("name", "")
    prefix = id_.partition(":")[0]
    kind = _OBO_TYPES.get(prefix)
    if not kind or not name or "is_obsolete" in lines or lines.get("namespace", "biological_process") not in _SPACES:
        return None
    labels = (Label(name, "name"), *(Label(each, "alias") for each in _SYNONYM.findall(stanza)))
    return Entry(id_, name, kind, labels, f"{prefix.lower()}@{version}")


_SPACES = ("biological_process", "disease_ontology", "human_phenotype", "chebi_ontology", "mondo")
