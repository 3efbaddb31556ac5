"""Search methods, by name. A new method is one file and one line here."""

METHODS: dict[str, str] = {}
