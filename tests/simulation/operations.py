"""All operations of a shop's operator."""

import bad_deltas
import serving_operations
import training_operations
import upkeep_operations

OPERATIONS = {operation.name: operation
              for module in (training_operations, serving_operations, upkeep_operations, bad_deltas)
              for operation in module.OPERATIONS}
