"""The report of a study: one HTML page that opens offline, and the same content as Markdown."""
