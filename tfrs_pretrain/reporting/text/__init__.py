"""Results as words: numbers, findings, method and curves, shared by tables, figures and templates."""
