"""Style of a report: what it has beyond the style of plans."""

from __future__ import annotations

STYLE = """
:root{--teal:#d5f0f0;--teal-line:#0b6b70;--bar:#2f6fc0}
@media (prefers-color-scheme:dark){:root{--teal:#0f3f42;--teal-line:#5fd0d4;--bar:#6aa5f2}}
main{overflow-wrap:anywhere}h3{font-size:1rem;margin:1rem 0 .4rem}
.cards .c0,.cards .now{border-left-color:var(--moved-line)}
.cards b{overflow-wrap:normal}.cards small{color:var(--quiet);font-size:.85rem}
.chip.c0{background:var(--moved);border-color:var(--moved-line)}
.chip.c1{background:var(--update);border-color:var(--update-line)}
.chip.c2{background:var(--create);border-color:var(--create-line)}
.chip.c3{background:var(--deactivate);border-color:var(--deactivate-line)}
.chip.c4{background:var(--delete);border-color:var(--delete-line)}
.chip.c5{background:var(--teal);border-color:var(--teal-line)}
.chip.rest{background:var(--calm);border-color:var(--calm-line)}
.legend{line-height:2}.chip{white-space:normal}
svg .c0{fill:var(--moved);stroke:var(--moved-line)}svg .c1{fill:var(--update);stroke:var(--update-line)}
svg .c2{fill:var(--create);stroke:var(--create-line)}
svg .c3{fill:var(--deactivate);stroke:var(--deactivate-line)}
svg .c4{fill:var(--delete);stroke:var(--delete-line)}svg .c5{fill:var(--teal);stroke:var(--teal-line)}
svg .rest{fill:var(--calm);stroke:var(--calm-line)}
svg circle{stroke-width:.8;stroke:var(--box)!important;fill-opacity:.85}
svg circle.c0{fill:var(--moved-line)}svg circle.c1{fill:var(--update-line)}
svg circle.c2{fill:var(--create-line)}svg circle.c3{fill:var(--deactivate-line)}
svg circle.c4{fill:var(--delete-line)}svg circle.c5{fill:var(--teal-line)}
svg circle.rest{fill:var(--calm-line)}svg path:not(.line){fill-opacity:.6}svg .line{fill:none}
svg.days{height:9rem;margin:.3rem 0 0;border-bottom:1px solid var(--calm-line)}svg .bar{fill:var(--bar)}
svg.days rect:hover{fill:var(--text)}
.axis{display:flex;justify-content:space-between;color:var(--quiet);font-size:.8rem;min-width:9rem}
.types{display:grid;grid-template-columns:minmax(6rem,14rem) 1fr auto;gap:.3rem .8rem;align-items:center}
.type{display:contents}svg.share{height:.9rem;margin:0}svg.share rect{stroke:none}
svg.share .c0{fill:var(--moved-line)}svg.share .c1{fill:var(--update-line)}
svg.share .c2{fill:var(--create-line)}svg.share .c3{fill:var(--deactivate-line)}
svg.share .c4{fill:var(--delete-line)}svg.share .c5{fill:var(--teal-line)}
svg.share .rest{fill:var(--calm-line)}
.count{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.count .quiet{display:inline-block;min-width:3rem}
th{white-space:nowrap}td{font-variant-numeric:tabular-nums}table.columns td{padding:.45rem .6rem}
td[data-label=Column]{min-width:7.5rem}td:is([data-label=Type],[data-label=Distinct]){white-space:nowrap}
td:is([data-label=Least],[data-label=Greatest]){overflow-wrap:normal}
.filled{display:block;width:4.5rem;height:.35rem;margin:.2rem 0;background:var(--calm);border-radius:.2rem}
.filled i{display:block;height:100%;background:var(--bar);border-radius:.2rem}
.filled.gap i{background:var(--update-line)}
.values span{display:inline-block;margin-right:.7rem}.values small,td small{color:var(--quiet)}
.was-new{color:var(--new)}.was-old{color:var(--old)}
@media (max-width:640px){main{padding:1rem .6rem 3rem}
.types{grid-template-columns:minmax(5rem,9rem) 1fr auto;gap:.3rem .5rem}.count .quiet{min-width:2.6rem}
svg.days{height:7rem}.cards{gap:.5rem}.cards div{min-width:5.4rem;padding:.4rem .7rem;flex:1 1 auto}
.cards b{font-size:1.35rem}
table.columns tr{display:grid!important;grid-template-columns:1fr 1fr;column-gap:.6rem}
table.columns td:is([data-label=Column],.values){grid-column:1/-1}
table.columns td{padding:.1rem 0}td[data-label=What]::before{content:""!important}
td[data-label]::before{content:attr(data-label) ": ";color:var(--quiet)}
td[data-label=Column]::before{content:""}td.values span{margin-right:.5rem}
.filled{display:inline-block;width:4rem;margin:0 .3rem;vertical-align:middle}}
"""
