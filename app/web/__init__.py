"""HTTP: the API, the pages, and what both need. The only room that knows requests and answers."""
