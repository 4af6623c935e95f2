"""The odds in templates; `lottery.chart` says how they read and where the bars go."""

from django import template

from lottery import chart

register = template.Library()
register.filter("odds_chart", chart.chart)
register.filter("odds_cells", chart.cells)
register.simple_tag(chart.columns, name="odds_columns")
