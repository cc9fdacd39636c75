// The matrix as KTAP, the test protocol of Linux: Documentation/dev-tools/ktap.rst.

import { cellName } from './cell.ts';
import type { Judged, Judgement } from './outcome.ts';

/** One flat list: a test for each cell, with what there is to say of it in comment lines before its result. */
export function ktapOf({ cells }: Judgement): string {
  const lines = ['KTAP version 1', `1..${cells.length}`];
  for (const [n, judged] of cells.entries()) {
    lines.push(...diagnostics(judged), resultLine(judged, n + 1));
  }
  return `${lines.join('\n')}\n`;
}

function resultLine({ cell, outcome }: Judged, number: number): string {
  const name = description(cellName(cell));
  if (outcome === 'skip')
    return `ok ${number} ${name} # SKIP ${description(cell.verdict)}: ${description(cell.reason)}`;
  const word = outcome === 'pass' ? 'ok' : 'not ok';
  return cell.timedOut && outcome === 'fail'
    ? `${word} ${number} ${name} # TIMEOUT`
    : `${word} ${number} ${name}`;
}

function diagnostics({ cell, outcome, change }: Judged): string[] {
  const figures = `${cell.instructions} instructions, ${cell.guestSeconds.toFixed(3)} guest seconds`;
  const lines = [`${cell.verdict}: ${cell.reason} (${figures})`];
  if (change !== null) lines.push(`against the baseline: ${change}`);
  if (outcome === 'fail') lines.push(...cell.console);
  return lines.map((line) => `# ${oneLine(line)}`);
}

/** In a description, `#` begins a directive. */
const description = (text: string): string =>
  oneLine(text).replaceAll('\\', '\\\\').replaceAll('#', '\\#');

const oneLine = (text: string): string => text.replace(/[\r\n]+/g, ' ');
