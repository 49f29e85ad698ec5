"""The door: one module per noun, one function per verb a person can say, each for a principal.

A function asks `authorize`, does its work in one transaction, and writes the audit row of a change in that same
transaction. REST, and later MCP and the pages, call these and nothing below them.
"""
