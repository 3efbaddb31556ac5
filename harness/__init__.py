"""Run studies of neural architecture search under a fixed protocol, and record them."""
