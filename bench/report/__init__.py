"""Tables and sentences for people: the terminal, the HTML page, this repository's own pages."""
