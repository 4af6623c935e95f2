"""Measurements, each on embedded servers of its own; docs/performance.md keeps the figures.

`commands` names them and their options, `site` starts what they need, `people` makes the players, `load` sends their requests,
`report` prints what came out. A benchmark is a module with `measure(site, options)`, which returns its figures.
"""
