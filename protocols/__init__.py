"""The protocols that come with the harness, as YAML files beside this one."""
