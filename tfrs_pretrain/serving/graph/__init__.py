"""The served model: lookups, inputs and signatures inside the graph."""
