"""The server of a study: HTTP interface, pages, and what each request does."""
