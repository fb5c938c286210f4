"""The only package that knows Genesys Cloud: raw JSON comes in here and does not leave.

"Facts, section N" in a docstring means that section of docs/dev/api-facts.md.
"""
