"""A project of activities that end in every way there is; its app is configured by environment variables."""
