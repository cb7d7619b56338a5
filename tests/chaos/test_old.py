"""What is remembered from before: an old witness, an address that moved (scenarios 43, 50)."""

import pytest

from tests.chaos import lab_stores
from tests.chaos.lab import WITNESS, Lab
from tests.support.pair import JETSON, PI, TTL_S

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

STILL_S = 2.5 * TTL_S


def test_witness_returns_with_the_data_of_a_month_ago(lab: Lab) -> None:
    """43: the leases of long ago, one of them released, move nobody; the witness is mended."""
    witness = lab.stage.store(WITNESS)
    lab.pair.start(JETSON)
    lab.pair.wait_active(JETSON)
    assert lab.stage.nodes[JETSON].stop(60.0) == 0
    old = lab_stores.dump_of(witness)
    lab.open_anew()
    lab.pull(WITNESS)
    # Meanwhile the lease went there and back: two epochs that the witness never saw.
    for to, of in ((PI, JETSON), (JETSON, PI)):
        assert lab.stage.nodectl("switchover", "--to", to).returncode == 0
        lab.wait_next(of)
        lab.wait_pair()
    before, epochs = lab.role_changes(), lab.pair.epochs(JETSON)
    lab.net.plug(WITNESS)
    witness.prefix = lab.net[WITNESS].space.prefix
    lab_stores.roll_back(witness, old)
    lab.hold_still(STILL_S)
    lab.pair.wait(
        lambda: set(lab.pair.holders()) == {(JETSON, epochs[-1])} and len(lab.pair.holders()) == 3,
        "the witness to be mended",
    )
    assert lab.role_changes() == before
    lab.pair.wait_order(JETSON)
    lab.judge()


def test_store_whose_address_moves(lab: Lab) -> None:
    """50: DHCP gives the witness another address: it counts as away, and moves nobody."""
    lab.pair.open()
    before = lab.role_changes()
    lab.net.move(WITNESS, 99)
    lab.pair.wait_event(JETSON, "store.lost", store=WITNESS)
    lab.hold_still(STILL_S)
    lab.pair.wait_order(JETSON)
    lab.net.move(WITNESS, 13)
    lab.pair.wait_event(JETSON, "store.back", store=WITNESS)
    assert lab.role_changes() == before
    lab.judge()
