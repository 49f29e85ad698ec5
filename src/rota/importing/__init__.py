"""Inventories that exist already: our own YAML and JSON, CSV, ssh configuration, Ansible's INI and YAML.

Pure: text in, hosts and groups out, with the place of each and every fault at once. What they may be beside the hosts
that there are is judged by the server.
"""
