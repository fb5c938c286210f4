"""File, `.env`, environment and credentials become one `Config`, or every problem in them."""
