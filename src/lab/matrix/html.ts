// The matrix as one HTML page that needs nothing else: no network, no script to be read, light and dark.

import { COUNTED_GROUPS } from '../trace/tracer.ts';
import { type Cell, cellName, columnName, EXIT_KINDS } from './cell.ts';
import { STYLE } from './html-style.ts';
import { type Judged, type Judgement, summaryOf } from './outcome.ts';
import { sparkline } from './sparkline.ts';
import { xmlAttribute, xmlText } from './xml-text.ts';

const OTHER_GROUP = COUNTED_GROUPS.at(-1)!;
const ENTRIES_MAX = 60;

/** Opens the details that a link in the table points to. */
const SCRIPT = `
const open = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', open);
open();
`;

export function htmlOf(judgement: Judgement): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>pvops matrix: ${xmlText(summaryOf(judgement))}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>pvops matrix</h1>
<p class="summary">${xmlText(summaryOf(judgement))}</p>
${overview(judgement)}
<h2>Cells</h2>
${judgement.cells.map(details).join('\n')}
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function overview({ cells }: Judgement): string {
  const kernels = [...new Set(cells.map(({ cell }) => cell.kernel))];
  const interfaces = [...new Set(cells.map(({ cell }) => columnName(cell)))];
  const numbers = new Map(cells.map(({ cell }, n) => [cellName(cell), n]));
  const square = (kernel: string, on: string) => {
    const n = numbers.get(cellName({ kernel, interface: on, shape: '' }));
    return n === undefined ? '<td></td>' : overviewCell(cells[n]!, n);
  };
  const row = (kernel: string) =>
    `<tr><th scope="row">${xmlText(kernel)}</th>${interfaces.map((on) => square(kernel, on)).join('')}</tr>`;
  return `<div class="scroll"><table class="matrix">
<thead><tr><th></th>${interfaces.map((on) => `<th scope="col">${xmlText(on)}</th>`).join('')}</tr></thead>
<tbody>
${kernels.map(row).join('\n')}
</tbody>
</table></div>`;
}

function overviewCell({ cell, outcome, change }: Judged, n: number): string {
  const figures =
    cell.instructions > 0
      ? `<small>${millions(cell)} M insns, ${cell.guestSeconds.toFixed(2)} s</small>`
      : '';
  const news =
    change === 'worse' || change === 'better' || change === 'new' ? ` <em>${change}</em>` : '';
  return `<td class="${outcome}"><a href="#cell-${n}" title="${xmlAttribute(cell.reason)}"><strong>${cell.verdict}</strong>${news}${figures}</a></td>`;
}

function details(judged: Judged, n: number): string {
  const { cell, outcome } = judged;
  const parts = [
    `<p>${xmlText(sentence(cell.reason))}</p>`,
    figuresOf(judged),
    operationsOf(cell),
    exitsOf(cell),
    ...(cell.vcpu === null ? [] : [`<h3>vCPU</h3><pre>${xmlText(cell.vcpu)}</pre>`]),
    ...(cell.console.length === 0
      ? []
      : [
          `<h3>Console, its end</h3><pre class="console">${xmlText(cell.console.join('\n'))}</pre>`,
        ]),
  ];
  return `<details id="cell-${n}"${outcome === 'fail' ? ' open' : ''}>
<summary><span class="${outcome}">${cell.verdict}</span> ${xmlText(cellName(cell))}</summary>
${parts.join('\n')}
</details>`;
}

function figuresOf({ cell, change }: Judged): string {
  const rows: readonly (readonly [string, string])[] = [
    ['kernel', cell.kernelVersion],
    ['SHA-256', cell.sha256 ?? ''],
    ['instructions', grouped(cell.instructions)],
    ['guest time', `${cell.guestSeconds.toFixed(6)} s`],
    ['host CPU (not reproducible)', `${cell.hostSeconds.toFixed(2)} s`],
    ['memory written', `${mebibytes(cell.touchedBytes)} of ${mebibytes(cell.memoryBytes)} MiB`],
    ['state', cell.stateHash ?? ''],
    ['baseline', change ?? ''],
  ];
  const shown = rows.filter(([, value]) => value !== '');
  return `<table class="figures"><tbody>${shown
    .map(([name, value]) => `<tr><th scope="row">${name}</th><td>${xmlText(value)}</td></tr>`)
    .join('')}</tbody></table>`;
}

/** A row for each group of operations, and behind it every entry point that was used. */
function operationsOf(cell: Cell): string {
  if (cell.operations.length === 0) return '';
  const totals = new Map<string, number>();
  for (const { operations, count } of cell.operations) {
    const group = operations[0]?.split('.')[0] ?? OTHER_GROUP;
    totals.set(group, (totals.get(group) ?? 0) + count);
  }
  const rows = COUNTED_GROUPS.map((group, n) => {
    const points = cell.samples.map(
      ({ guestSeconds, operations }) => [guestSeconds, operations[n] ?? 0] as const,
    );
    return countRow(group, totals.get(group) ?? 0, points);
  });
  const entries = cell.operations
    .slice(0, ENTRIES_MAX)
    .map(
      ({ operations, entryPoint, count }) =>
        `<tr><td class="number">${grouped(count)}</td><td>${xmlText(entryPoint)}</td><td>${xmlText(operations.join(' '))}</td></tr>`,
    );
  return `<h3>Operations</h3>${countTable('group', cell, rows)}
<details><summary>By entry point</summary><table class="entries"><thead><tr><th>count</th><th>entry point</th><th>operations</th></tr></thead><tbody>${entries.join('')}</tbody></table></details>`;
}

function countRow(
  name: string,
  total: number,
  points: readonly (readonly [number, number])[],
): string {
  if (total === 0) return '';
  return `<tr><th scope="row">${name}</th><td class="number">${grouped(total)}</td><td>${sparkline(points, `${name} over guest time`)}</td></tr>`;
}

const countTable = (what: string, cell: Cell, rows: readonly string[]): string =>
  `<table class="exits"><thead><tr><th>${what}</th><th>total</th><th>rate over ${cell.guestSeconds.toFixed(3)} s of guest time</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;

/** A row for each kind of exit: how many, and how fast over the run. */
function exitsOf(cell: Cell): string {
  const rows = EXIT_KINDS.map((kind, n) => {
    const total = cell.exits[kind] ?? 0;
    const points = cell.samples.map(
      ({ guestSeconds, exits }) => [guestSeconds, exits[n] ?? 0] as const,
    );
    return countRow(kind, total, points);
  });
  if (rows.every((row) => row === '')) return '';
  return `<h3>Exits</h3>${countTable('kind', cell, rows)}`;
}

/** 1,234,567 */
const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
const millions = ({ instructions }: Cell): string => (instructions / 1e6).toFixed(0);
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
