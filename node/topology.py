"""What the loss of each machine means, in one sentence (table of R16, amendments).

Pure. Everything that sets up, checks or shows the cluster prints this sentence.
"""

from node.config_model import Config, Topology

REMEDY = (
    "Remedy: a witness, that is a third lease store on any always-on machine that can run Redis "
    "(an old 32-bit Pi, a NAS, a small server), and topology three-stores."
)


def topology_sentence(config: Config) -> str:
    """Return what each loss means under the configured topology."""
    preferred = config.label_of(config.cluster.preferred_node)
    others = [n for n in config.nodes if n != config.cluster.preferred_node]
    standby = config.label_of(others[0]) if others else "the other box"
    match config.cluster.topology:
        case Topology.TWO_BOXES:
            return (
                f"Two boxes, one store: if {preferred} is lost, {standby} trades; if {standby} "
                f"(or the store on it) is lost or reboots, {preferred} stops after "
                f"{config.lease.ttl_ms / 1000:g} s, because nobody can prove that the other side "
                "is dead; protective orders stay at the venue."
            )
        case Topology.THREE_STORES if config.cluster.grown_from:
            return (
                f"The pair grows from one store to three: until that is finished every decision "
                f"needs the store on {config.cluster.grown_from} and one more."
            )
        case Topology.THREE_STORES:
            return (
                f"Three stores: the loss of {preferred}, of {standby} or of any one store does "
                "not stop trading for longer than one takeover; two stores lost stop it."
            )
        case Topology.SINGLE_HOST:
            return (
                "Single host: everything is on this machine; it shows a failover between "
                "processes and survives no loss of the machine."
            )


def topology_warnings(config: Config) -> tuple[str, ...]:
    """Return what should be said each time about this configuration, most important first."""
    found: list[str] = []
    if config.cluster.topology is Topology.TWO_BOXES:
        if config.cluster.accept_standby_risk:
            found.append("two boxes, one store; the standby's risk is accepted")
        else:
            found.append(f"{topology_sentence(config)} {REMEDY}")
    if len(config.nodes) == 1:
        found.append("only one node is configured: there is no spare")
    quotes = sorted({s.split("/")[1] for strategy in config.strategies for s in strategy.symbols})
    if len(quotes) > 1:
        found.append(
            f"symbols have several quote currencies ({', '.join(quotes)}): the limits in [risk] "
            "apply to each as a bare number"
        )
    return tuple(found)
