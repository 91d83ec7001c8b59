// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace smets1kms::report::html {

/// Light and dark, 390 pixels and up, A4. Contrast is at least 4.5 to 1 in both.
inline constexpr const char* style = R"css(
:root { --paper: #ffffff; --ink: #1a1f24; --soft: #4a5561; --link: #0b57a4; --line: #c3ccd4;
  --panel: #f3f5f7; --good: #17652f; --bad: #a3161f; --warn: #7a4800; --calm: #4a5561;
  --on-mark: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181c; --ink: #e7ebef; --soft: #aab4be; --link: #8cc2ff; --line: #3d4853;
    --panel: #1e242a; --good: #7fd69b; --bad: #ff9f9f; --warn: #f0c069; --calm: #aab4be;
    --on-mark: #14181c; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main { max-width: 74rem; margin: 0 auto; padding: 0 1rem; overflow-wrap: anywhere; }
.banner { max-width: none; margin: 1rem 0 0; padding: .6rem .9rem; border-left: .4rem solid;
  background: var(--panel); }
.banner.good { border-color: var(--good); } .banner.bad { border-color: var(--bad); }
.banner strong { letter-spacing: .03em; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.2rem 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p { margin: .4rem 0; max-width: 52rem; }
small, .soft { color: var(--soft); font-size: .875rem; }
a { color: var(--link); text-underline-offset: .15em; }
.answer { font-size: 1.2rem; font-weight: 600; margin: .6rem 0; padding: .7rem .9rem;
  border: 2px solid; border-radius: .3rem; max-width: none; }
.answer.good { border-color: var(--good); } .answer.bad { border-color: var(--bad); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 0 2.5rem; align-items: start; }
.columns > * { min-width: 0; }
.scroll { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; overflow-wrap: normal; color: var(--soft); padding-bottom: .2rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
thead th { border-bottom-width: 2px; } th[scope=row] { white-space: nowrap; font-weight: 400; }
.status .tag { white-space: normal; }
.columns h2 { margin-top: 1rem; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.id, td:first-child, code { font-variant-numeric: tabular-nums; }
.id, .hash { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .92em; }
.hash { overflow-wrap: anywhere; }
.id, time { white-space: nowrap; } p time { white-space: normal; }
.mark { white-space: nowrap; font-weight: 600; }
.mark.good { color: var(--good); } .mark.bad { color: var(--bad); }
.mark.warn { color: var(--warn); } .mark.calm { color: var(--calm); font-weight: 400; }
.mark.bad::before { content: "\25B2\00A0"; } .mark.warn::before { content: "\25CF\00A0"; }
.mark.good::before { content: "\2713\00A0"; }
.tag { display: inline-block; border: 1px solid var(--line); border-radius: .2rem;
  padding: 0 .35rem; font-size: .8rem; font-weight: 400; white-space: nowrap; }
.tag.project { background: var(--calm); border-color: var(--calm); color: var(--on-mark); }
.ids { list-style: none; padding: 0; display: grid;
  grid-template-columns: repeat(auto-fill, minmax(14.5rem, 1fr)); gap: .1rem 1rem; }
.facts { margin: 0; padding-left: 1.1rem; } td .facts { min-width: 20rem; }
.device { border-top: 1px solid var(--line); margin-top: 1rem; }
.device:target, section:target, tr:target { background: var(--panel);
  outline: 2px solid var(--link); outline-offset: 2px; }
details { margin: .4rem 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
@media screen and (max-width: 40rem) {
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; }
  .stacks, .stacks caption, .stacks tbody, .stacks tr, .stacks td { display: block; }
  .stacks thead { position: absolute; left: -99rem; }
  .stacks tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .stacks td { border: 0; padding: .1rem 0; } .stacks td:empty { display: none; }
  .stacks td[data-label]:not(:empty)::before { content: attr(data-label) ": "; color: var(--soft); }
  td .facts { min-width: 0; }
  .status { font-size: .8rem; } .status th, .status td { padding-right: .45rem; }
  .status .tag { font-size: .7rem; padding: 0 .2rem; } }
svg { width: 100%; max-width: 36rem; height: auto; display: block; }
svg text { fill: var(--ink); font: 10.5px system-ui, "DejaVu Sans", sans-serif; }
svg .met { fill: var(--good); } svg .late { fill: var(--bad); } svg .open { fill: var(--warn); }
svg .limit { stroke: var(--ink); stroke-dasharray: 4 3; }
svg .note { fill: var(--soft); }
footer { margin: 3rem 0 2rem; color: var(--soft); }
@media print {
  @page { size: A4; margin: 16mm 14mm; }
  :root { --paper: #ffffff; --ink: #000000; --soft: #333a41; --link: #0b3f78; --line: #9aa5b0;
    --panel: #f3f5f7; --good: #17652f; --bad: #a3161f; --warn: #7a4800; --calm: #4a5561;
    --on-mark: #ffffff; }
  html { font-size: 9.5pt; } header, main { max-width: none; padding: 0; }
  h1 { font-size: 15pt; } h2 { font-size: 12pt; margin-top: 1.2rem; }
  h2, h3, caption, summary { break-after: avoid; }
  tr, svg, .answer, .banner, li { break-inside: avoid; } thead { display: table-header-group; }
  .scroll { overflow: visible; } table { font-size: 8pt; max-width: 100%; }
  th, td { padding-right: .5rem; } td, th { overflow-wrap: break-word; }
  .columns { grid-template-columns: 1fr 1fr; gap: 0 8mm; }
  .tag.project { background: none; border-color: var(--ink); color: var(--ink); font-weight: 600; }
  td .facts { min-width: 0; } a { text-decoration: none; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
)css";

}  // namespace smets1kms::report::html
