"""Reading the shapes of a merged configuration tree, section by section, all errors at once.

Pure. Each section is read by itself, so that one unreadable section hides nothing about the
others; every problem says which file or variable its value came from and what the field means.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from node.config_model import Config
from node.config_rules import Parts, Problem
from node.redact import redact_patterns

Keys = tuple[str | int, ...]
SHOWN_LIMIT = 60  # a value longer than this would break the line in two
SECRET_WORDS = ("key", "secret", "token", "password")


def read_parts(tree: dict[str, Any], sources: dict[Keys, str]) -> tuple[Parts, list[Problem]]:
    """Return the sections that are readable, and a problem for each place that is not.

    Args:
        tree: the merged tree.
        sources: which file or variable set each place.
    """
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for key in tree:
        if key not in Config.model_fields:
            near = _near(key, Config.model_fields)
            problems.append(
                Problem(
                    path=key,
                    message="is not a known section",
                    mend=near or f"known are: {', '.join(Config.model_fields)}",
                    source=sources.get((key,), ""),
                )
            )
    for name, field in Config.model_fields.items():
        if name not in tree:
            if field.is_required():
                mend = f"add it; see docs/configuration.md#{name}"
                problems.append(Problem(path=name, message="is missing", mend=mend))
            elif name in Parts.__dataclass_fields__:
                found[name] = field.get_default(call_default_factory=False)
            continue
        adapter = TypeAdapter[Any](Config.__annotations__[name])
        try:
            value = adapter.validate_python(tree[name])
        except ValidationError as error:
            problems += _problems_of(name, error, sources)
            continue
        if name in Parts.__dataclass_fields__:
            found[name] = value
    return Parts(**found), problems


def _problems_of(
    name: str, error: ValidationError, sources: dict[Keys, str]
) -> tuple[Problem, ...]:
    """Return one problem for each place; a union reports each type that it tried."""
    by_path: dict[str, Problem] = {}
    for details in error.errors(include_url=False):
        loc: Keys = (name, *details["loc"])
        if "parameters" in loc:
            loc = loc[: loc.index("parameters") + 2]
        problem = _problem_of(details, loc, sources)
        by_path.setdefault(problem.path, problem)
    return tuple(by_path.values())


def _problem_of(details: ErrorDetails, loc: Keys, sources: dict[Keys, str]) -> Problem:
    # a dict key that breaks its pattern is reported with a last part "[key]"
    path = ".".join(str(key) for key in loc if key != "[key]")
    model, field = _field_at(loc)
    source = source_at(loc, sources)
    match details["type"]:
        case "extra_forbidden":
            message, mend = "is not a known key", _unknown_mend(str(loc[-1]), model)
        case "missing":
            message, mend = "is missing", _help(field)
        case _ if "parameters" in loc:
            message = f"was {_shown(details['input'])}: it must be a number, text, true or false"
            mend = _help(field)
        case _:
            said = details["msg"]
            message = f"was {_shown(details['input'])}: {said[0].lower()}{said[1:]}"
            mend = _help(field)
    return Problem(path=path, message=message, mend=mend, source=source)


def _unknown_mend(key: str, model: type[BaseModel] | None) -> str:
    known = list(model.model_fields) if model is not None else []
    near = _near(key, known)
    if near:
        return near
    if any(word in key.lower() for word in SECRET_WORDS):
        return "secrets belong in secrets/<node>.toml, never here: remove it and make a new one"
    return f"known are: {', '.join(known)}"


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = redact_patterns(text)
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 3] + "..."


def _help(field: str) -> str:
    return " ".join(field.split()) if field else "see docs/configuration.md"


def _near(key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _field_at(loc: Keys) -> tuple[type[BaseModel] | None, str]:
    """Return the section that the place is in, and the description of its field."""
    model: type[BaseModel] | None = Config
    description = ""
    for key in loc:
        if model is not None and key in model.model_fields:
            info = model.model_fields[str(key)]
            description = info.description or ""
            inner = _model_in(info.annotation)
            if inner is None:
                return model, description
            model = inner
    return model, description


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def source_at(loc: Keys, sources: dict[Keys, str]) -> str:
    """Return the file or variable that set the place, or the nearest one around it."""
    for length in range(len(loc), 0, -1):
        if loc[:length] in sources:
            return sources[loc[:length]]
    return sources.get((), "")


def sourced(problem: Problem, sources: dict[Keys, str]) -> Problem:
    """Say in which file a relation's value stands."""
    keys: Keys = tuple(int(k) if k.isdigit() else k for k in problem.path.split("."))
    return Problem(
        path=problem.path,
        message=problem.message,
        mend=problem.mend,
        source=source_at(keys, sources),
    )
