"""The graph of a served model: lookups, tables, inputs and signatures."""
