"""What is true of chat on paper: rules and values, standard library only."""
