"""The generated reference pages are current and complete."""

from pathlib import Path

from node.config_docs import render_configuration, render_events
from node.config_model import Config
from node.config_rules import Parts

DOCS = Path(__file__).parents[2] / "docs"


def test_configuration_page_is_current() -> None:
    """Run `python -m node.config_docs` after changing a model."""
    assert (DOCS / "configuration.md").read_text(encoding="utf-8") == render_configuration()


def test_log_events_page_is_current() -> None:
    """Run `python -m node.config_docs` after changing the table of events."""
    assert (DOCS / "log-events.md").read_text(encoding="utf-8") == render_events()


def test_every_field_is_described() -> None:
    """House rule: effect, unit, default and its reason stand under each field."""
    bare = []
    for name, field in Config.model_fields.items():
        for model in _models(field.annotation):
            bare += [f"{name}.{key}" for key, f in model.model_fields.items() if not f.description]
    assert bare == []


def test_rules_see_only_sections_that_exist() -> None:
    """A part that is no section would never be filled."""
    assert set(Parts.__dataclass_fields__) <= set(Config.model_fields)


def _models(annotation: object) -> list[type[Config]]:
    from typing import get_args  # noqa: PLC0415

    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return [annotation]
    return [m for inner in get_args(annotation) for m in _models(inner)]
