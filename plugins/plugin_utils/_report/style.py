# Copyright (c) 2026 multikernel.core contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style sheet of the pages: one file for light and dark, narrow and wide, screen and paper. Nothing is loaded from anywhere."""

from __future__ import annotations

from .colour import GROUND_DARK, GROUND_LIGHT, INK_DARK, INK_LIGHT, colour

_SHEET = """\
:root{color-scheme:light dark;--ground:%(ground)s;--ink:%(ink)s;--soft:#4a5160;--line:#737b8a;--panel:#f4f5f7;--link:#0b4f9e;
--good:#0f5c2e;--bad:#9b1c1c;--odd:#7a4b00;--free:#ffffff}
@media (prefers-color-scheme:dark){:root{--ground:%(dark_ground)s;--ink:%(dark_ink)s;--soft:#b9c0cc;--line:#8d95a5;--panel:#1d2026;
--link:#8ec2ff;--good:#7fdb9f;--bad:#ff9c9c;--odd:#ffcf7d;--free:#14161a}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.45 system-ui,"DejaVu Sans",sans-serif}
header,main,footer{max-width:80rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.6rem;margin:1rem 0 .25rem}h2{font-size:1.2rem;margin:1.75rem 0 .5rem}h3{font-size:1rem;margin:.75rem 0 .35rem}
p{margin:.35rem 0;max-width:60rem}a{color:var(--link)}
.skip{position:absolute;left:-100rem}.skip:focus{position:static;display:inline-block;padding:.5rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;margin:.5rem 0}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.soft{color:var(--soft)}.mono,td.mono{font-family:"DejaVu Sans Mono",ui-monospace,monospace;font-size:.8125rem}
.good{color:var(--good)}.bad{color:var(--bad)}.odd{color:var(--odd)}
.cols{display:grid;grid-template-columns:1fr;gap:0 2rem}
@media (min-width:56rem){.cols.two{grid-template-columns:1fr 1fr}}
.cols>*{min-width:0}
fieldset{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.35rem .75rem .6rem}
.pick{display:flex;flex-wrap:wrap;gap:.3rem .9rem}.pick label{display:inline-flex;
align-items:center;gap:.35rem;min-height:1.75rem;overflow-wrap:anywhere}
.mark{display:inline-block;min-width:1.5rem;padding:0 .3rem;text-align:center;border:2px solid;border-radius:4px;
font-weight:700;font-size:.8125rem}
.socket{border:1px solid var(--line);border-radius:8px;padding:.25rem .6rem .6rem;margin:.5rem 0;background:var(--panel)}
.cache{display:flex;flex-wrap:wrap;gap:5px;padding:.3rem 0}.cache+.cache{border-top:1px dashed var(--line)}
.core{display:inline-flex;gap:2px;padding:2px;border:1px solid var(--line);border-radius:5px;background:var(--ground)}
.cpu{display:inline-flex;flex-direction:column;align-items:center;
min-width:2.5rem;padding:1px 3px;border:2px solid var(--line);border-radius:4px;
font-size:.75rem;line-height:1.2;background:var(--free)}
.cpu b{font-size:.875rem}.few .cpu{min-width:5.5rem;padding:.25rem .5rem}.cpu i{font-style:normal;max-width:9rem;overflow-wrap:anywhere}
.many .cpu{min-width:2.1rem;flex-direction:row;gap:3px;justify-content:center}.many .cpu b{font-size:.75rem}
.map{display:flex;flex-direction:column;gap:3px;margin:.25rem 0}
.piece{display:grid;grid-template-columns:13rem 1fr;gap:0 .6rem;align-items:center}
.piece>span{font-family:"DejaVu Sans Mono",ui-monospace,monospace;font-size:.75rem;text-align:right;overflow-wrap:anywhere}
.bars{display:flex;gap:3px;align-self:stretch;min-width:0}
.bar{flex:1;border:2px solid var(--line);border-radius:4px;padding:0 .5rem;font-size:.8125rem;display:flex;align-items:center;gap:.5rem;
background:var(--free);min-width:0;overflow:hidden}
.bar i{font-style:normal;overflow-wrap:anywhere}.bar.none{border-style:dashed}
@media (max-width:40rem){.piece{grid-template-columns:1fr}.piece>span{text-align:left}.two .bars{min-height:1.6rem}}
.scroll{overflow-x:auto;margin:.5rem 0}
table{border-collapse:collapse;font-size:.875rem}caption{text-align:left;color:var(--soft);padding:.25rem 0}
tbody th{min-width:5.5rem}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}thead th{background:var(--panel)}
td.n{text-align:right;white-space:nowrap}
details{margin:.4rem 0}summary{cursor:pointer;min-height:1.75rem}
.grade{display:inline-block;border:3px solid;border-radius:8px;padding:.1rem .7rem;font-size:1.5rem;font-weight:700;margin-right:.5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem .9rem;margin:.4rem 0}dt{font-weight:600}dd{margin:0}
.fleet{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.6rem;list-style:none;padding:0;margin:.5rem 0}
.fleet li{border:2px solid;border-left-width:10px;border-radius:6px;padding:.4rem .6rem;min-width:0;overflow-wrap:anywhere}
.fleet h3{margin:0;color:var(--ink)}.fleet p{color:var(--ink);font-size:.875rem;margin:.15rem 0}.fleet strong{font-size:.9375rem}
footer{padding:1.5rem 1rem;color:var(--soft);font-size:.875rem}
@media print{fieldset,nav,.skip{display:none}.cpu,.bar,.mark{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
@media (forced-colors:active){.cpu,.bar,.mark{forced-color-adjust:auto}}
"""


def sheet(owners: int) -> str:
    """The style sheet for a page with this many owners (the host is number 0)."""
    colours = [colour(number) for number in range(owners)]
    values = {"ground": GROUND_LIGHT, "ink": INK_LIGHT, "dark_ground": GROUND_DARK, "dark_ink": INK_DARK}
    light = [f".k{number}{{background:{one.fill};border-color:{one.edge}}}" for number, one in enumerate(colours)]
    dark = [f".k{number}{{background:{one.dark_fill};border-color:{one.dark_edge}}}" for number, one in enumerate(colours)]
    # Whoever is picked stands out, by no more than a radio button: there is no script in the page.
    picked = [f"main:has(#pick-{number}:checked) .o:not(.k{number}){{opacity:.25}}" for number in range(owners)]
    return _SHEET % values + "\n".join([*light, "@media (prefers-color-scheme:dark){", *dark, "}", *picked]) + "\n"
