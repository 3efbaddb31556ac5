"""Search spaces: pure descriptions of architectures, without networks."""
