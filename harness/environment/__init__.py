"""Record the machine, its software and the code, and tell what changed between two starts."""
