"""The only package that deals with Genesys Cloud: no other one sees its JSON.

"Facts, section N" in a docstring means that section of docs/dev/api-facts.md.
"""
