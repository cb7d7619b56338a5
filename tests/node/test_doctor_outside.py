"""What the doctor shows of dead-man URLs and of the nodes' own warnings."""

from dataclasses import replace

from node.deadman import Watched
from node.doctor.findings import DoctorFacts, Finding, Level, list_findings
from node.doctor.outside import NodeSeen, UrlSeen, read_node, render_outside
from tests.node.test_doctor_findings import facts_of
from tests.node.test_doctor_losses import THREE

BOARD = {
    "outside": {
        "cluster": {"answered_age_s": 12.3, "error": ""},
        "node": {"answered_age_s": None, "error": "no answer in time"},
        "strange": 5,
    },
    "warnings": ["temperature: 78 °C"],
    "notes": ["192.168.1.11 is leased"],
}
WELL = UrlSeen(answered_age_s=12.3, error="")
BOTH = {Watched.CLUSTER: WELL, Watched.NODE: WELL}


def facts(*nodes: NodeSeen) -> DoctorFacts:
    return replace(facts_of(), nodes=nodes)


def found(*nodes: NodeSeen) -> list[Finding]:
    return [f for f in list_findings(facts(*nodes)) if f.area in {"outside", "box"}]


def test_board_entry_is_read_and_nonsense_is_left_out() -> None:
    """Another release may say less, or something else."""
    seen = read_node("jetson", BOARD)
    assert seen.urls == {
        Watched.CLUSTER: WELL,
        Watched.NODE: UrlSeen(answered_age_s=None, error="no answer in time"),
    }
    assert (seen.warnings, seen.notes) == (("temperature: 78 °C",), ("192.168.1.11 is leased",))
    assert read_node("jetson", {"outside": 1, "warnings": {}}).urls == {}


def test_urls_are_shown_with_their_last_answer() -> None:
    """The standby's cluster URL waits; what is not set is said."""
    text = render_outside(
        THREE,
        (read_node("jetson", BOARD), NodeSeen(node_id="raspberrypi", urls={Watched.CLUSTER: WELL})),
        holder="jetson",
        known_here=(),
    )
    assert "jetson, cluster: last answer 12 s ago" in text
    assert "jetson, node: no answer yet (no answer in time)" in text
    assert "raspberrypi, cluster: set; pinged when this node leads" in text
    assert "raspberrypi, node: not set" in text


def test_pair_that_is_watched_from_outside_has_nothing_to_mend() -> None:
    assert found(NodeSeen(node_id="jetson", urls=BOTH), NodeSeen(node_id="pi", urls=BOTH)) == []


def test_no_url_is_a_note_and_one_that_only_one_node_knows_is_worth_a_look() -> None:
    """After a failover the service would cry wolf."""
    (note,) = found(NodeSeen(node_id="jetson", urls={}), NodeSeen(node_id="pi", urls={}))
    assert note.level is Level.GOOD
    (look,) = found(NodeSeen(node_id="jetson", urls=BOTH), NodeSeen(node_id="raspberrypi", urls={}))
    assert look.level is Level.LOOK
    assert "raspberrypi" in look.what


def test_url_that_does_not_answer_is_worth_a_look_where_it_is_pinged() -> None:
    """The standby's old error about the cluster's URL is none."""
    bad = UrlSeen(answered_age_s=400.0, error="HTTP 500")
    broken = {Watched.CLUSTER: bad, Watched.NODE: WELL}
    (look,) = found(NodeSeen(node_id="jetson", urls=broken), NodeSeen(node_id="pi", urls=broken))
    assert look.level is Level.LOOK
    assert "HTTP 500" in look.what


def test_warnings_of_every_living_node_are_shown() -> None:
    warned = NodeSeen(node_id="jetson", urls=BOTH, warnings=("temperature: 78 °C",))
    (look,) = found(warned)
    assert (look.level, look.area) == (Level.LOOK, "box")
    assert "78 °C" in look.what


def test_note_of_a_node_is_no_reason_for_an_exit_code() -> None:
    """An address from DHCP may be reserved: nobody here can see that."""
    (note,) = found(NodeSeen(node_id="jetson", urls=BOTH, notes=("192.168.1.11 is leased",)))
    assert note.level is Level.GOOD


def test_without_a_living_node_this_boxs_secrets_are_what_is_known() -> None:
    text = render_outside(THREE, (), holder=None, known_here=["node", "cluster"])
    assert text.endswith("set in this box's secrets: cluster, node")
    assert render_outside(THREE, (), holder=None, known_here=()).endswith("secrets: none")
