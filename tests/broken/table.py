"""The tables of docs/load-bearing.md, made from the registry: `python -m tests.broken.table`.

Rewrites the part of the page between the two marks; a test checks that the page is up to date.
"""

from pathlib import Path

from tests.broken.registry import FAMILIES
from tests.broken.scripts import CHECKS
from tests.broken.variant import SETUPS, ByTests, InWeather, Kept, Variant
from tests.support.edited import ROOT

PAGE = ROOT / "docs" / "load-bearing.md"
BEGIN = "<!-- made by `make load-bearing`: do not edit below -->"
END = "<!-- end of what is made -->"


def _proof(variant: Variant) -> str:
    match variant.proof:
        case InWeather() as found:
            stores = "1 store" if found.stores == 1 else f"{found.stores} stores"
            return (
                f"seed {found.seed} of *{found.setup}*, {stores}: {found.shows} "
                f"(must show within {found.within} seeds)"
            )
        case ByTests() as found:
            where = found.tests[0].removeprefix("tests/")
            return f"`{where}` fails"
        case Kept():
            return "**kept**, see below"


def rendered() -> str:
    """Return what stands between the marks."""
    lines: list[str] = []
    for title, family in FAMILIES.items():
        lines += [
            f"### {title}",
            "",
            "| variant | rule | taken away | what goes wrong | caught by |",
        ]
        lines += ["|---|---|---|---|---|"]
        lines += [
            f"| `{v.name}` | {v.rules} | {v.removed} | {v.harm} | {_proof(v)} |" for v in family
        ]
        lines.append("")
    lines += ["### Kept without a proof, and why", ""]
    for family in FAMILIES.values():
        lines += [f"- `{v.name}`: {v.proof.why}" for v in family if isinstance(v.proof, Kept)]
    lines += ["", "### The checks of the Lua scripts", ""]
    lines += ["Each removed by itself; the tests named fail on a real server.", ""]
    lines += ["| check | script | missed by |", "|---|---|---|"]
    for name, check in CHECKS.items():
        script = Path(check.edit.path).name
        lines.append(f"| {name} | `{script}` | `{check.tests[0].removeprefix('tests/')}` |")
    lines += ["", "### The weathers", "", "| weather | what it is |", "|---|---|"]
    used = {v.proof.setup for f in FAMILIES.values() for v in f if isinstance(v.proof, InWeather)}
    lines += [f"| *{name}* | {setup.words} |" for name, setup in SETUPS.items() if name in used]
    return "\n".join(lines) + "\n"


def updated(page: str) -> str:
    """Return the page with its made part renewed."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{rendered()}\n{END}{tail}"


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(updated(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
