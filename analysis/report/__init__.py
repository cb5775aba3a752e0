"""The report of a run: one HTML file that opens without a network.

`page.write_report` writes it; `sections` is its table of contents. Figures are drawn in the browser
by plotly.js, which the file carries; every number of them comes from `analysis`, as those of
`python -m analysis.rank` do.
"""
