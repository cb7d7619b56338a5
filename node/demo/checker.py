"""The checker: judges a run from the documented logs alone, with the standard library alone.

It reads the paper exchange's `requests.jsonl` (docs/paper-exchange.md) and the nodes' `node.jsonl`
(docs/log-events.md), and trusts nothing else: not the nodes' memory, not the stores. Run it by hand
on any run: `python -m node.demo.checker REQUESTS.jsonl NODE.jsonl [NODE.jsonl ...]`.

Invariants: no two epochs interleave; no client order id twice; no intent lost; positions = sum of
fills; each role change is alerted once. For each one a test doctors a log so that it fails.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from node.drill.placements import epoch_of, find_twice

# A node says that an intent came to an end, or that it still works, with one of these.
ACCOUNTED = frozenset(
    {
        "order.confirmed",
        "order.rejected",
        "order.not_sent",
        "order.resolved",
        "order.done",
        "order.adopted",
        "order.filled",
        "order.cancelled",
        "order.orphaned",
    }
)

# A takeover is told as one of these, by its epoch.
TAKEOVER_KINDS = ("took_over", "both_were_off")
# A process that goes on logging this long after it lost the lease was not killed by the same blow;
# a message takes about a second.
LIVED_ON_S = 10.0

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One invariant: whether it holds, and what breaks it."""

    name: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """True when nothing breaks it."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The logs of one run. `nodes` maps a node id (= its key's name) to its events."""

    requests: tuple[Line, ...]
    nodes: Mapping[str, tuple[Line, ...]]

    @property
    def events(self) -> Iterator[Line]:
        """Every event of every node."""
        for lines in self.nodes.values():
            yield from lines

    def posts(self) -> Iterator[Line]:
        """Every placement of a node that arrived, in the order of arrival."""
        for line in sorted(self.requests, key=_arrival):
            if line["type"] == "request" and line["method"] == "POST" and line["key"] in self.nodes:
                yield line


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All invariants, and the counts a report shows."""

    findings: tuple[Finding, ...]
    orders: int
    orders_doubled: int
    orders_lost: int
    unknown_resolved: int
    adopted: int
    cancelled: int
    alerts: int

    @property
    def holds(self) -> bool:
        """True when every invariant holds."""
        return all(finding.holds for finding in self.findings)

    def report(self) -> dict[str, Any]:
        """Return the counts by name."""
        names = (
            "orders",
            "orders_doubled",
            "orders_lost",
            "unknown_resolved",
            "adopted",
            "cancelled",
            "alerts",
        )
        return {name: getattr(self, name) for name in names} | {"invariants_ok": self.holds}


def check_run(run: Run) -> Verdict:
    """Judge a run."""
    doubled, lost = find_doubled(run), find_lost(run)
    names = Counter(str(event.get("event")) for event in run.events)
    return Verdict(
        findings=(
            Finding(name="no two epochs interleave", problems=find_interleaving(run)),
            Finding(name="no client order id twice", problems=doubled),
            Finding(name="no intent lost", problems=lost),
            Finding(name="positions = sum of fills", problems=find_position_errors(run)),
            Finding(name="each role change alerted once", problems=find_alert_errors(run)),
        ),
        orders=sum(1 for line in run.requests if line["type"] == "order" and _is_ours(line)),
        orders_doubled=len(doubled),
        orders_lost=len(lost),
        unknown_resolved=names["order.resolved"],
        adopted=names["order.adopted"],
        cancelled=names["order.cancelled"],
        alerts=names["alert.delivered"],
    )


# --- the invariants ---------------------------------------------------------------------------


def find_interleaving(run: Run) -> tuple[str, ...]:
    """Requests that change something must arrive as blocks of one node and growing epochs.

    A block belongs to one of its node's own grants, later than every grant before; a placement
    must carry exactly that grant's epoch.
    """
    grants = {
        node: sorted({int(e["lease_epoch"]) for e in events if e.get("event") == "lease.granted"})
        for node, events in run.nodes.items()
    }
    problems: list[str] = []
    epoch, holder = 0, ""
    for line in sorted(run.requests, key=_arrival):
        if line["type"] != "request" or line["key"] not in run.nodes:
            continue
        node = str(line["key"])
        what = f"request {line['arrival']} of {node}"
        if line["method"] == "POST":
            placed = epoch_of(line["client_order_id"])
            if placed is None:
                problems.append(f"{what}: {line['client_order_id']} is no id of a cluster")
            elif placed not in grants[node]:
                problems.append(f"{what}: epoch {placed} was never granted to {node}")
            elif placed < epoch or (placed == epoch and node != holder):
                problems.append(f"{what}: epoch {placed} after epoch {epoch} of {holder}")
            else:
                epoch, holder = placed, node
        elif node != holder:
            # A cancel names the order's own epoch: the sender must hold a later grant.
            later = [grant for grant in grants[node] if grant > epoch]
            if later:
                epoch, holder = later[0], node
            else:
                problems.append(f"{what}: cancels after epoch {epoch} of {holder} without a grant")
    return tuple(problems)


def find_doubled(run: Run) -> tuple[str, ...]:
    """No client order id may arrive in two placements, whatever became of them."""
    return find_twice(str(line["client_order_id"]) for line in run.posts())


def find_lost(run: Run) -> tuple[str, ...]:
    """Every intent and every order at the venue must be accounted for by some node."""
    intended: dict[str, str] = {}
    accounted: set[str] = set()
    mentioned: set[str] = set()
    for event in run.events:
        cid = str(event.get("client_order_id", ""))
        if not cid:
            continue
        mentioned.add(cid)
        if event.get("event") == "order.intended":
            intended[cid] = str(event.get("node"))
        elif event.get("event") in ACCOUNTED:
            accounted.add(cid)
    problems = [
        f"{cid} was intended by {node} and no node says what became of it"
        for cid, node in intended.items()
        if cid not in accounted
    ]
    problems += [
        f"{line['client_order_id']} is at the venue and no node knows it"
        for line in run.requests
        if line["type"] == "order" and _is_ours(line) and line["client_order_id"] not in mentioned
    ]
    return tuple(problems)


def find_position_errors(run: Run) -> tuple[str, ...]:
    """The venue's balances must be what fills add up to, and the nodes' position the same."""
    held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    ours: dict[str, Decimal] = defaultdict(Decimal)
    reported: dict[tuple[str, str], Decimal] = {}
    assets = _assets(run.requests)
    for line in run.requests:
        account = str(line.get("account"))
        if line["type"] == "account":
            for asset, amount in line["balances"].items():
                held[account, asset] += Decimal(amount)
        elif line["type"] == "fill":
            base, quote = _split(line["symbol"], assets)
            sign = 1 if line["side"] == "BUY" else -1
            amount, price = Decimal(line["quantity"]), Decimal(line["price"])
            fee, fee_asset = Decimal(line["commission"]), line["commission_asset"]
            held[account, base] += sign * amount
            held[account, quote] -= sign * amount * price
            held[account, fee_asset] -= fee
            if epoch_of(line["client_order_id"]) is not None:
                ours[f"{base}/{quote}"] += sign * amount - (fee if fee_asset == base else 0)
        elif line["type"] == "balances":
            for asset, parts in line["balances"].items():
                reported[account, asset] = Decimal(parts["free"]) + Decimal(parts["locked"])
    problems = [
        f"{account} {asset}: fills add up to {held[account, asset]}, the balance is {amount}"
        for (account, asset), amount in reported.items()
        if held[account, asset] != amount
    ]
    for symbol, believed in _believed_positions(run).items():
        if believed != ours[symbol]:
            problems.append(f"{symbol}: fills add up to {ours[symbol]}, the nodes say {believed}")
    problems += [
        f"{symbol}: {amount} was filled and no node counted it"
        for symbol, amount in ours.items()
        if amount and symbol not in _believed_positions(run)
    ]
    return tuple(problems)


def find_alert_errors(run: Run) -> tuple[str, ...]:
    """Each finished takeover is told once; so is each end of trading, and nothing of it twice."""
    told = Counter(
        str(e.get("event_id", "")) for e in run.events if e.get("event") == "alert.delivered"
    )
    problems = []
    for event in run.events:
        if event.get("event") == "takeover.finished":
            count = sum(told[f"{kind}:{event['epoch']}"] for kind in TAKEOVER_KINDS)
            if count != 1:
                problems.append(f"the takeover of epoch {event['epoch']} was told {count} times")
    problems += [
        f"{event_id} was told {count} times"
        for event_id, count in told.items()
        if event_id.startswith("gave_up:") and count != 1
    ]
    handed_over = (
        f"gave_up:{e['epoch']}:{node}"
        for node, events in run.nodes.items()
        for e in events
        if e.get("event") == "role.changed" and e.get("to") == "draining"
    )
    ended = (*handed_over, *(each for node in run.nodes for each in _fenced_alive(run, node)))
    problems += [f"{each} was not told" for each in dict.fromkeys(ended) if not told[each]]
    return tuple(problems)


def _fenced_alive(run: Run, node: str) -> Iterator[str]:
    """Yield what must be told of each lease that was lost by a process that lived on.

    A process that was killed meanwhile had no time to say it; the takeover tells of it.
    """
    fenced: list[Line] = []
    for event in run.nodes[node]:
        if event.get("event") == "node.starting":
            fenced = []
        while fenced and _wall_s(event) - _wall_s(fenced[0]) >= LIVED_ON_S:
            yield f"gave_up:{fenced.pop(0)['epoch']}:{node}"
        is_end = event.get("event") == "role.changed" and event.get("to") == "fenced"
        if is_end and event.get("from") == "active":
            fenced.append(event)


# --- leaves -----------------------------------------------------------------------------------


def load_run(requests: Path, node_logs: Iterable[Path]) -> Run:
    """Read the logs of a run; the node of a log is the one its lines name.

    Raises:
        ValueError: a file has no readable line, or a line in its middle is damaged.
    """
    nodes: dict[str, tuple[Line, ...]] = {}
    for path in node_logs:
        for line in _lines(path):
            node = str(line.get("node", ""))
            nodes[node] = (*nodes.get(node, ()), line)
    lines = _lines(requests)
    while lines and not lines[-1].get("batch_end"):
        lines.pop()
    return Run(requests=tuple(lines), nodes=nodes)


def _lines(path: Path) -> list[Line]:
    lines: list[Line] = []
    raw = path.read_text("utf-8").splitlines(keepends=True)
    for number, text in enumerate(raw, start=1):
        try:
            lines.append(json.loads(text))
        except ValueError:
            if number < len(raw):
                raise ValueError(f"{path}:{number}: not a line of JSON") from None
    if not lines:
        raise ValueError(f"{path}: no lines")
    return lines


def _wall_s(line: Line) -> float:
    return datetime.fromisoformat(str(line["ts"])).timestamp()


def _arrival(line: Line) -> int:
    return int(line.get("arrival", 0))


def _is_ours(line: Line) -> bool:
    return epoch_of(line.get("client_order_id")) is not None


def _believed_positions(run: Run) -> dict[str, Decimal]:
    """Return the position in each symbol after the newest counted fill."""
    newest: dict[str, tuple[int, Decimal]] = {}
    for event in run.events:
        if event.get("event") == "order.filled":
            symbol, number = str(event["symbol"]), int(event["fill_id"])
            if symbol not in newest or number > newest[symbol][0]:
                newest[symbol] = (number, Decimal(event["position"]))
    return {symbol: amount for symbol, (_, amount) in newest.items()}


def _assets(requests: Iterable[Line]) -> frozenset[str]:
    found: set[str] = set()
    for line in requests:
        if line["type"] in {"account", "balances"}:
            found |= set(line["balances"])
    return frozenset(found)


def _split(symbol: str, assets: frozenset[str]) -> tuple[str, str]:
    """Split a venue symbol such as ETHBTC; the balances know the assets."""
    for quote in assets:
        base = symbol.removesuffix(quote)
        if base != symbol and (base in assets or len(assets) == 1):
            return base, quote
    known = ", ".join(sorted(assets))
    raise ValueError(f"symbol {symbol} is not made of known assets ({known})")


def render(verdict: Verdict) -> str:
    """Return the verdict for people, a line an invariant."""
    lines = []
    for finding in verdict.findings:
        lines.append(f"{'holds ' if finding.holds else 'BROKEN'}  {finding.name}")
        lines += [f"        {problem}" for problem in finding.problems]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Check a run from the command line; return the exit code."""
    if len(arguments) < 2:  # noqa: PLR2004  (the venue's log and at least one node's)
        sys.stderr.write("usage: python -m node.demo.checker REQUESTS.jsonl NODE.jsonl [...]\n")
        return 2
    try:
        verdict = check_run(load_run(Path(arguments[0]), map(Path, arguments[1:])))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot check: {error}\n")
        return 2
    print(render(verdict))
    print(json.dumps(verdict.report()))
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
