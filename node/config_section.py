"""What every section of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveMs = Annotated[int, Field(gt=0, le=3_600_000)]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys refused, fields described in place."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
