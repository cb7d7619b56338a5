"""All variants, and what they have to be."""

from collections.abc import Mapping

from tests.broken import (
    acquiring,
    amended,
    clocks,
    cluster,
    deaths,
    elsewhere,
    fencing,
    growing,
    holding,
    journals,
    observing,
    promises,
    releasing,
    restored,
    stores,
)
from tests.broken.variant import Variant

FAMILIES: Mapping[str, tuple[Variant, ...]] = {
    "Clocks and reserves": clocks.VARIANTS,
    "What a contender may conclude": observing.VARIANTS,
    "Asking, and giving up": acquiring.VARIANTS,
    "Holding": holding.VARIANTS,
    "Ending, and the kernel fence": releasing.VARIANTS,
    "The kernel's timer and one write, in detail": fencing.VARIANTS,
    "What a store compares": stores.VARIANTS,
    "Standing down": promises.VARIANTS,
    "From one store to three": growing.VARIANTS,
    "After a death": deaths.VARIANTS,
    "Identity, servers, the venue's stamp": elsewhere.VARIANTS,
    "Who may contend, and who moves the lease": cluster.VARIANTS,
    "Journal and absence": journals.VARIANTS,
    "Configuration, waits, fingerprints, journal, latches, a dead disk": amended.VARIANTS,
    "A card that comes back": restored.VARIANTS,
}
VARIANTS: Mapping[str, Variant] = {
    variant.name: variant for family in FAMILIES.values() for variant in family
}
