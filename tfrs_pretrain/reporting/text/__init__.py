"""Results as text: numbers, sentences, explanations and curves, used by tables, figures and templates."""
