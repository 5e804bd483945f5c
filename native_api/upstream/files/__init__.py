"""Remote images and files of a request: fetched safely and sent inline."""
