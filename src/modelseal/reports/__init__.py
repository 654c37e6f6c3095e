"""Tables, figures and pages made of values; nothing is computed here."""
