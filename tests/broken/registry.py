"""All variants, and what they have to be."""

from collections.abc import Mapping

from tests.broken import acquiring, clocks, elsewhere, holding, observing, releasing, stores
from tests.broken.variant import Variant

FAMILIES: Mapping[str, tuple[Variant, ...]] = {
    "Clocks and reserves": clocks.VARIANTS,
    "What a contender may conclude": observing.VARIANTS,
    "Asking, and giving up": acquiring.VARIANTS,
    "Holding": holding.VARIANTS,
    "Ending, and the kernel fence": releasing.VARIANTS,
    "What a store compares": stores.VARIANTS,
    "Identity, servers, the venue's stamp": elsewhere.VARIANTS,
}
VARIANTS: Mapping[str, Variant] = {
    variant.name: variant for family in FAMILIES.values() for variant in family
}
