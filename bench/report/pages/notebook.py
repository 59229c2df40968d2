"""What a notebook shows of a run: its headline, its first table, its main chart and its machine."""

from __future__ import annotations

import base64

from bench.report.run_tables import best_sheet, first_sheet
from bench.report.verdict import answer
from bench.verdict.evidence import Evidence

# A notebook has its own colours and fonts, light or dark: only what a table needs is set.
TEMPLATE = """\
<div style="max-width: 50rem">
<p><b>{{ name }}: {{ headline }}</b></p>
{% if table.rows %}
<table>
<caption style="text-align: left">{{ table.title }}</caption>
<thead><tr>{% for column in table.columns %}
<th style="text-align: {{ 'right' if column.numeric else 'left' }}">{{ column.name }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for cell in row %}<td style="text-align: {{ 'right' if table.columns[loop.index0].numeric else 'left' }}">
{{- cell.text }}{% if cell.small %} <small>{{ cell.small }}</small>{% endif %}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% for note in table.notes %}
<p><small>{{ note }}</small></p>
{% endfor %}
{% endif %}
{% if picture %}
<img style="max-width: 100%" alt="the run's main chart" src="data:image/png;base64,{{ picture }}">
{% endif %}
<p><small>{{ facts }}.</small></p>
</div>
"""


def html(evidence: Evidence, picture: bytes | None) -> str:
    """A fragment of HTML, no markup of a run's own in it. `picture` is a PNG. Raises UsageError for an empty run."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    _outcome, headline = answer(evidence)
    table = first_sheet(evidence)
    if not table.rows and not evidence.rows.empty:  # nothing is faster than the baseline
        table = best_sheet(evidence)
    return environment.from_string(TEMPLATE).render(
        name=evidence.run.name,
        headline=headline,
        table=table,
        picture=base64.b64encode(picture).decode("ascii") if picture else "",
        facts="; ".join(evidence.run.facts),
    )
