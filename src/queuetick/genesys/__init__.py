"""The only package that knows Genesys Cloud: raw JSON comes in here and does not leave."""
