"""`load_target`: finds a machine by name or by path, picks its variants, and checks all of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mho.targets.errors import TargetError, plain
from mho.targets.files import read_bounded
from mho.targets.schema import Problem, Table, build, is_key, nearest, problems, shown
from mho.targets.target import Target

FOLDER = Path(__file__).parent
SUFFIX = ".toml"
DEEPEST = 8
MOST_BYTES = 2**20


@dataclass(frozen=True)
class Description:
    """A machine's file as it was written.

    Attributes:
        name: the shipped name, or the name of the user's file without its suffix.
        label: how messages name the file.
        base: the table without its variants; variants: name → what it changes.
    """

    name: str
    label: str
    base: Table
    variants: dict[str, Table]


def load_target(name_or_path: str | Path) -> Target:
    """The machine of a shipped name or of a path to a .toml file, with variants as in `hermes64:one-phase`.

    Several variants are joined by `+`, a later one overriding an earlier one.

    Raises:
        TargetError: if there is no such machine or variant, or with every mistake of its file.
    """
    name_or_path = str(name_or_path)
    base, chosen = _split(name_or_path)
    description = _read(base, name_or_path)
    _refuse(description.label, _all_problems(description))
    variants = tuple(chosen.split("+")) if chosen is not None else ()
    _refuse(description.label, _unknown_variants(description, variants))
    table = _combined(description, variants)
    _refuse(plain(name_or_path), problems(table))
    return build(table)


def require_sound(target: Target) -> None:
    """Checks a machine that was made in Python as a file's is.

    Raises:
        TargetError: with everything that is wrong with it.
    """
    _refuse(plain(target.name) or "target", problems(asdict(target)))


def target_names() -> tuple[str, ...]:
    """The names of the shipped machines, without their variants."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


def variant_names(name_or_path: str | Path) -> tuple[str, ...]:
    """The names of a machine's variants, in the order of its file.

    Raises:
        TargetError: if there is no such machine or its file cannot be read.
    """
    base, _ = _split(str(name_or_path))
    return tuple(_read(base, str(name_or_path)).variants)


def _split(text: str) -> tuple[str, str | None]:
    """A name or path, and the text of its variants where it has some. A path may hold colons of its own."""
    if text.endswith(SUFFIX):
        return text, None
    if f"{SUFFIX}:" in text:
        stem, _, variants = text.rpartition(f"{SUFFIX}:")
        return stem + SUFFIX, variants
    name, colon, variants = text.partition(":")
    return name, variants if colon else None


def _read(base: str, asked: str) -> Description:
    if base in target_names():
        return _parse(FOLDER / f"{base}{SUFFIX}", base, f"{base}{SUFFIX}")
    if not base.endswith(SUFFIX):
        guess = nearest(base, target_names())
        hint = f" Did you mean {guess}?" if guess else ""
        known = ", ".join(target_names())
        raise TargetError(
            f"{plain(asked)}: no such target.{hint} Known are {known}; a path to a {SUFFIX} file works as well."
        )
    return _parse(Path(base), Path(base).stem, plain(base))


def _parse(path: Path, name: str, label: str) -> Description:
    try:
        table = tomllib.loads(read_bounded(path, MOST_BYTES).decode())
    except OSError as error:
        raise TargetError(f"{label}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TargetError(f"{label}: is not UTF-8 text (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{label}: is not TOML: {plain(str(error))}") from error
    if not _is_plain(table, DEEPEST):
        raise TargetError(f"{label}: holds a date, or tables nested more than {DEEPEST} deep; no key takes either")
    variants = table.pop("variants", {})
    _refuse(label, _shape_problems(table, variants))
    named = {k: _with_flat_sources(v) for k, v in variants.items()}
    return Description(name, label, {"name": name} | _with_flat_sources(table), named)


def _shape_problems(table: Table, variants: object) -> Iterator[Problem]:
    """What makes the file unfit to be taken apart into a base and variants."""
    if "name" in table:
        yield Problem("name", "is not a key: a machine is named after its file")
    if not isinstance(variants, dict):
        yield Problem("variants", "must be a table of tables, as in [variants.fast.costs]")
        return
    for name, variant in variants.items():
        if not isinstance(variant, dict):
            yield Problem(f"variants.{name}", "must be a table")
        elif not name or set(name) & set("+:"):
            yield Problem(f"variants.{name}", "must have a name that is not empty and holds no + or :")
        elif "name" in variant:
            yield Problem(f"variants.{name}.name", "is not a key: a machine is named after its file")


def _is_plain(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_plain(v, depth - 1) for v in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(v, depth - 1) for v in value)
    return isinstance(value, str | int | float | bool)


def _with_flat_sources(table: Table) -> Table:
    """`costs.mvm_latency_ns = "…"` under [sources] is a table of tables to TOML; a target has dotted keys."""
    sources = table.get("sources")
    return table | {"sources": _flatten(sources)} if isinstance(sources, dict) else table


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Table:
    flat: Table = {}
    for key, value in table.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _all_problems(description: Description) -> Iterator[Problem]:
    """The problems of the base, and those that each variant adds to it."""
    base = problems(description.base)
    yield from base
    for name, variant in description.variants.items():
        where = f"variants.{name}"
        unpublished = _unpublished_problems(variant)
        yield from (Problem(f"{where}.unpublished", text) for text in unpublished)
        if not unpublished:
            found = problems(_combined(description, (name,)))
            yield from (Problem(f"{where}.{p.key}", p.text) for p in found if p not in base)


def _unpublished_problems(variant: Table) -> list[str]:
    listed = variant.get("unpublished", [])
    if not isinstance(listed, list):
        return [f"= {shown(listed)}: must be a list of dotted keys"]
    unknown = [key for key in listed if not is_key(key)]
    return [f"names {shown(key)}, which is not a known key" for key in unknown]


def _unknown_variants(description: Description, chosen: tuple[str, ...]) -> Iterator[Problem]:
    known = tuple(description.variants)
    for name in chosen:
        if name not in known:
            guess = nearest(name, known)
            hint = f"; did you mean {guess}?" if guess else ""
            has = f"it has {', '.join(known)}" if known else "it has none"
            yield Problem("", f'has no variant "{name}": {has}{hint}')


def _combined(description: Description, variants: tuple[str, ...]) -> Table:
    """The base with variants merged into it, named after both."""
    table = description.base
    for name in variants:
        variant = dict(description.variants[name])
        for key in variant.pop("unpublished", []):
            table = _without(table, key)
        table = _merge(table, variant)
    suffix = f":{'+'.join(variants)}" if variants else ""
    return table | {"name": description.name + suffix}


def _merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> Table:
    both = {k: _merge(base[k], v) for k, v in override.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **override, **both}


def _without(table: Table, key: str) -> Table:
    section, _, rest = key.partition(".")
    if not rest:
        return {k: v for k, v in table.items() if k != key}
    inner = table.get(section)
    return table | {section: _without(inner, rest)} if isinstance(inner, dict) else table


def _refuse(label: str, found: Iterator[Problem] | tuple[Problem, ...]) -> None:
    """Raise all problems at once, each with its file and key."""
    texts = [f"{label}: {plain(p.key)} {plain(p.text)}".replace(":  ", ": ") for p in found]
    if texts:
        raise TargetError(texts)
