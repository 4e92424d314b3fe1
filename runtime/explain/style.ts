/** The page's style sheet: light and dark by the reader's own setting. */

export const STYLE: string = `
:root {
  --paper: #fbfbf9; --surface: #ffffff; --ink: #1c1f24; --soft: #656c77; --line: #e2e3df; --wash: #f2f2ee; --accent: #2b5fd9;
  --h0: #2f6fdf; --h1: #c4572a; --h2: #2e8b57; --h3: #8a4fc7; --h4: #b8860b; --h5: #0d8f9c; --h6: #c2397f; --h7: #6b7280;
  --mono: ui-monospace, "SF Mono", "Cascadia Code", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --surface: #1b1e24; --ink: #e7e8ea; --soft: #9aa2ae; --line: #2f343d; --wash: #22262d; --accent: #8ab0ff;
    --h0: #7aa7ff; --h1: #f0946a; --h2: #6cc795; --h3: #c39bf2; --h4: #e0b64a; --h5: #56c5d0; --h6: #ee85b5; --h7: #a3abb8;
  }
}
.k0 { --k: var(--h0) } .k1 { --k: var(--h1) } .k2 { --k: var(--h2) } .k3 { --k: var(--h3) }
.k4 { --k: var(--h4) } .k5 { --k: var(--h5) } .k6 { --k: var(--h6) } .k7 { --k: var(--h7) }
* { box-sizing: border-box }
html { scroll-behavior: smooth; scroll-padding-top: 16px }
body { margin: 0; display: grid; grid-template-columns: 184px minmax(0, 1fr); background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif }
body > svg { position: absolute }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow: auto; padding: 26px 18px; border-right: 1px solid var(--line); background: var(--surface) }
nav .brand { margin: 0 0 22px; font-size: 17px; letter-spacing: -.01em } nav .brand b { color: var(--accent); font-weight: 600 }
nav h2 { margin: 18px 0 6px; font-size: 11px; letter-spacing: .09em; text-transform: uppercase; color: var(--soft); font-weight: 600 }
nav a { display: block; padding: 4px 8px; margin: 0 -8px; border-radius: 6px; color: inherit; text-decoration: none }
nav a:hover { background: var(--wash) }
main { padding: 30px 34px 60px; max-width: 1320px; min-width: 0 }
header h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -.02em; overflow-wrap: anywhere }
header p { margin: 6px 0 0 }
h3 { margin: 0; font: 600 21px/1.3 var(--mono); letter-spacing: -.02em; overflow-wrap: anywhere }
h4 { margin: 26px 0 8px; font-size: 14px } h5 { margin: 0 0 4px; font: 600 12.5px var(--mono); overflow-wrap: anywhere }
.note { color: var(--soft); font-size: 13.5px }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin-top: 14px; font: 13px var(--mono) }
.legend i, h4 i, td i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; background: var(--k); margin-right: 7px }
.component { margin-top: 46px; padding-top: 26px; border-top: 1px solid var(--line) }
.badges { display: flex; flex-wrap: wrap; gap: 6px; margin: 9px 0 18px }
.badges span { padding: 1px 9px; border: 1px solid var(--line); border-radius: 99px; font-size: 12.5px; color: var(--soft) }
.tabs { display: flex; flex-wrap: wrap; gap: 4px; border-bottom: 1px solid var(--line) }
.tabs button { padding: 7px 14px; border: 0; border-bottom: 2px solid transparent; margin-bottom: -1px; background: none; color: var(--soft); font: 13.5px var(--mono); cursor: pointer }
.tabs button:hover { color: var(--ink) } .tabs button[aria-selected=true] { color: var(--ink); border-color: var(--accent) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px; margin: 18px 0 }
.tile { padding: 11px 13px; border: 1px solid var(--line); border-radius: 10px; background: var(--surface) }
.tile span { display: block; font-size: 12px; color: var(--soft) } .tile strong { display: block; font-size: 16.5px; font-weight: 600; letter-spacing: -.01em; font-variant-numeric: tabular-nums; white-space: nowrap }
.tile small { display: block; font-size: 12px; line-height: 1.35; color: var(--soft) }
.look { display: grid; grid-template-columns: minmax(0, 1fr) minmax(300px, 380px); border: 1px solid var(--line); border-radius: 12px; background: var(--surface); overflow: hidden }
figure { margin: 0; padding: 14px; overflow: auto; max-height: 780px; text-align: center }
figure svg { max-width: 100%; height: auto }
.inspector { border-left: 1px solid var(--line); padding: 18px; max-height: 780px; overflow: auto; background: color-mix(in srgb, var(--wash) 45%, var(--surface)) }
.inspector h4 { margin: 0; font: 600 15px var(--mono) } .inspector .hint { color: var(--soft); font-size: 12.5px; margin: 0 0 14px }
.arrows path { fill: none; stroke: color-mix(in srgb, var(--soft) 70%, transparent); stroke-width: 1.3 }
#tip path { fill: var(--soft) }
.views { font: 10.5px var(--mono); fill: var(--soft); text-anchor: middle; paint-order: stroke; stroke: var(--surface); stroke-width: 5px; stroke-linejoin: round }
.box text { font: 11px var(--mono); fill: var(--ink) } .box .title { font-weight: 600; font-size: 12px }
.box rect { fill: var(--wash); stroke: var(--line) } .box.input text, .box.output text { fill: var(--soft) } .box.input .title, .box.output .title { fill: var(--ink) }
.box.group { cursor: pointer; outline: none } .box.group rect { fill: color-mix(in srgb, var(--k) 13%, var(--surface)); stroke: color-mix(in srgb, var(--k) 65%, var(--surface)) }
.box.group .title { fill: color-mix(in srgb, var(--k) 75%, var(--ink)) }
.box.group:hover rect, .box.group:focus-visible rect, .box.lit rect { stroke: var(--k); stroke-width: 2.2; fill: color-mix(in srgb, var(--k) 22%, var(--surface)) }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 14px; margin: 10px 0; font-size: 13px } dt { color: var(--soft) } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums }
code { font: 12px var(--mono); background: var(--wash); padding: 1px 4px; border-radius: 4px; overflow-wrap: anywhere }
.ops { list-style: none; margin: 12px 0; padding: 0; font-size: 13px } .ops li { padding: 6px 0; border-top: 1px solid var(--line) } .ops b { font: 600 12.5px var(--mono) }
.ops small { display: block; color: var(--soft); font: 11.5px var(--mono); overflow-wrap: anywhere } .source { float: right; color: var(--accent); font: 12px var(--mono) }
.weights { font-size: 13px } .step { border-top: 1px solid var(--line); padding-top: 10px; margin-top: 10px }
summary { cursor: pointer; font-size: 13px; color: var(--accent) } .words { margin: 6px 0; padding: 0; list-style: none; font: 12px/1.6 var(--mono) } .words b { display: inline-block; width: 28px; color: var(--soft); font-weight: 400 }
pre { margin: 8px 0; padding: 12px; overflow: auto; max-height: 420px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); font: 12px/1.5 var(--mono); tab-size: 2 }
.share h4 { margin-bottom: 6px } .bar { display: flex; gap: 2px; height: 30px; border-radius: 7px; overflow: hidden }
.bar span { flex-basis: 0; min-width: 3px; padding: 0 8px; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; font: 12px/30px var(--mono); background: color-mix(in srgb, var(--k) 30%, var(--surface)); color: var(--ink) }
.bar span:empty { padding: 0 }
.key { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 7px 0 0; font-size: 12px; color: var(--soft) } .key i { display: inline-block; width: 8px; height: 8px; border-radius: 2px; background: var(--k); margin-right: 6px } .key b { font-weight: 500; color: var(--ink); font-variant-numeric: tabular-nums }
table { width: 100%; border-collapse: collapse; font-size: 13px; margin-top: 10px } th { text-align: left; font-weight: 500; color: var(--soft); font-size: 12px } th, td { padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top } .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.groups > tbody > tr > td:first-child { font-family: var(--mono); white-space: nowrap } tr.lit { background: color-mix(in srgb, var(--accent) 8%, transparent) }
.groups .losers { font-size: 12px; margin: 6px 0; min-width: 460px } .stage pre { max-height: 520px }
.wide { overflow-x: auto } .program .arena { width: 100%; min-width: 620px; display: block; border: 1px solid var(--line); border-radius: 8px; background: var(--surface) } .arena rect { fill: color-mix(in srgb, var(--k) 38%, var(--surface)); stroke: none } .arena .scratch { fill: var(--wash) } .arena text { font: 10.5px var(--mono); fill: var(--ink); pointer-events: none } .arena .soft { fill: var(--soft) }
footer { margin-top: 50px; color: var(--soft); font-size: 12.5px }
@media (max-width: 900px) { body { display: block } nav { position: static; height: auto; display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 14px; padding: 16px 20px; border: 0; border-bottom: 1px solid var(--line) }
  nav .brand { flex-basis: 100%; margin-bottom: 4px } nav h2 { margin: 0 } nav a { margin: 0 -6px; padding: 4px 6px } .look { display: block } .inspector { border-left: 0; border-top: 1px solid var(--line) } main { padding: 20px } }
@media print { nav { display: none } body { display: block } }
`;
