"""Tables and examples of docs/alerts.md. `python -m tests.alerts.docs_page` writes them anew."""

import re
from pathlib import Path

from alerts.commands import HELP, NEEDS_CODE
from alerts.kinds import KIND_RULES
from alerts.model import Kind
from alerts.render import VERDICT_SIGN
from alerts.words import WORDINGS, facts_of
from tests.alerts.golden_texts import render_all

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


def render_kinds() -> str:
    """The table of kinds."""
    lines = ["| event | when | usual verdict | kept | facts |", "|---|---|---|---|---|"]
    for kind in Kind:
        rule = KIND_RULES[kind]
        kept = "always told" if rule.is_protected else "repeats" if rule.collapse_by else ""
        facts = ", ".join(f"`{name}`" for name in facts_of(WORDINGS[kind]))
        lines.append(
            f"| `{kind}` | {rule.when} | {VERDICT_SIGN[rule.verdict]} | {kept} | {facts} |"
        )
    return "\n".join(lines)


def render_commands() -> str:
    """The table of commands."""
    lines = ["| command | what it does |", "|---|---|"]
    lines += [
        f"| `/{name}` | {words}{' — with a code' if name in NEEDS_CODE else ''} |"
        for name, words in HELP.items()
    ]
    return "\n".join(lines)


def render_page(page: str) -> str:
    """The page with every part between `begin` and `end` marks written anew."""
    texts = render_all()

    def part(match: re.Match[str]) -> str:
        name = match["name"]
        if name == "kinds":
            content = render_kinds()
        elif name == "commands":
            content = render_commands()
        else:
            example = texts[name.removeprefix("example ")].split("\n\n--- HTML ---")[0]
            content = f"```text\n{example}\n```"
        return f"<!-- begin: {name} -->\n\n{content}\n\n<!-- end: {name} -->"

    pattern = r"<!-- begin: (?P<name>[\w ]+) -->.*?<!-- end: (?P=name) -->"
    return re.sub(pattern, part, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
