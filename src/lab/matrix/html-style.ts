// How the page of the matrix looks: one style sheet, two themes, from a telephone to a wide screen.

export const STYLE = `
:root {
  --page: #fff; --text: #1b1f24; --faint: #57606a; --line: #d0d7de; --panel: #f6f8fa;
  --pass: #116329; --pass-back: #dafbe1; --fail: #a40e26; --fail-back: #ffebe9; --skip: #57606a; --skip-back: #eaeef2;
  --chart: #0969da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --text: #e6edf3; --faint: #9198a1; --line: #30363d; --panel: #161b22;
    --pass: #7ee787; --pass-back: #12261e; --fail: #ffa198; --fail-back: #2d1215; --skip: #9198a1; --skip-back: #21262d;
    --chart: #4493f8;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 2rem 0 0.5rem; font-size: 1.2rem; }
h3 { margin: 1rem 0 0.25rem; font-size: 1rem; }
.summary { margin: 0.25rem 0 1rem; color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; }
.matrix th, .matrix td { border: 1px solid var(--line); }
.matrix td { padding: 0; min-width: 8rem; }
.matrix th { font-weight: 600; overflow-wrap: anywhere; }
.matrix th[scope='row'] { min-width: 9rem; }
.matrix a { display: block; padding: 0.4rem 0.6rem; color: inherit; text-decoration: none; }
.matrix a:hover, .matrix a:focus-visible { text-decoration: underline; }
.matrix small { display: block; color: var(--faint); white-space: nowrap; }
.matrix em { font-style: normal; font-size: 0.8rem; border: 1px solid; border-radius: 0.5rem; padding: 0 0.4rem; }
.pass { color: var(--pass); background: var(--pass-back); }
.fail { color: var(--fail); background: var(--fail-back); }
.skip { color: var(--skip); background: var(--skip-back); }
details { border: 1px solid var(--line); border-radius: 0.4rem; margin: 0.5rem 0; padding: 0 0.8rem; }
details[open] { padding-bottom: 0.8rem; }
summary { padding: 0.5rem 0; cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
summary span { display: inline-block; min-width: 4rem; padding: 0 0.5rem; border-radius: 0.4rem; text-align: center; }
.figures th, .exits th { color: var(--faint); font-weight: 400; white-space: nowrap; }
.figures td { overflow-wrap: anywhere; }
.entries { margin: 0.5rem 0; }
.entries td { overflow-wrap: anywhere; border-top: 1px solid var(--line); }
.exits { width: 100%; }
.exits td:last-child { width: 100%; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: 2.25rem; background: var(--panel); }
svg path { fill: var(--chart); }
pre { margin: 0; padding: 0.6rem; overflow: auto; background: var(--panel); border-radius: 0.4rem;
  font: 12.5px/1.45 ui-monospace, monospace; }
.console { max-height: 24rem; }
@media (max-width: 40rem) {
  body { padding: 1rem; }
  .figures th, .exits th:last-child { white-space: normal; }
}
`;
