"""Use cases, one verb phrase a file; they know the ports and the domain, nothing of the world."""
