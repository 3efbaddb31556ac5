"""Hold the sigmoid-slope curve: how it was trained, what the shipped files say, the space of slopes."""
