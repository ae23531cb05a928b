"""What the words mean: frozen records and pure rules, standard library only."""
