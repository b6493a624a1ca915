"""What we ask of the world, answered: one package a technology, none knows another."""
