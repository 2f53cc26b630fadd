"""The API for programs: what its answers hold and its parameters mean, once, for routes, OpenAPI and the page."""
