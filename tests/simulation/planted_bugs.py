"""All planted bugs."""

import bugs_of_forgetting  # noqa: F401
import bugs_of_pushing  # noqa: F401
import bugs_of_rows  # noqa: F401
import bugs_of_serving  # noqa: F401
from planting import BUGS, FIRST_LIFE, planted

__all__ = ["BUGS", "FIRST_LIFE", "planted"]
