// `pvops diff`: two traces, where they first part, and what one asked for that the other did not.

import type { Command } from 'commander';
import { readUserJsonLines } from '../host/node/index.ts';
import {
  compareTraces,
  type Divergence,
  type OperationDifference,
  readTrace,
  type Trace,
  type TraceDifference,
  type TraceEvent,
} from '../lab/index.ts';
import { table } from './report.ts';

const SAME = 0;
const DIFFERENT = 1;

export function addDiff(program: Command): void {
  program
    .command('diff')
    .description('compare two traces by operation; status 1 if they differ')
    .argument('<a>', 'a trace: pvops trace ... --out FILE, or pvops run ... --trace FILE')
    .argument('<b>', 'another, of the same kernel or another, on the same interface or another')
    .option('--json', 'print the difference as JSON')
    .action(async (a: string, b: string, { json }: { json?: boolean }) => {
      const [first, second] = [await traceOf(a), await traceOf(b)];
      const found = compareTraces(first, second);
      process.stdout.write(
        `${json ? JSON.stringify(found, null, 2) : diffText(found, first, second)}\n`,
      );
      process.exitCode = isSame(found) ? SAME : DIFFERENT;
    });
}

async function traceOf(path: string): Promise<Trace> {
  const { lines, cut } = await readUserJsonLines(path, 'trace');
  const trace = readTrace(lines, cut, path);
  if (cut) process.stderr.write(`pvops: ${path} is cut off: comparing what is there\n`);
  return trace;
}

const isSame = ({ divergence, onlyOne, unequal }: TraceDifference): boolean =>
  divergence === null && onlyOne.length === 0 && unequal.length === 0;

function diffText(found: TraceDifference, { head: a }: Trace, { head: b }: Trace): string {
  const [x, y] = [a, b].map(({ kernel, interface: on }) => `${kernel} on ${on}`) as [
    string,
    string,
  ];
  if (isSame(found)) return `identical: ${found.events[0]} events of ${x}`;
  const parts = [`A: ${x}\nB: ${y}`];
  if (found.divergence) parts.push(divergenceText(found.divergence, found));
  else parts.push(`the ${found.events[0]} events that both can show agree`);
  if (found.unequal.length > 0) parts.push(countTable('asked for by both', found.unequal));
  if (found.onlyOne.length > 0) parts.push(countTable('shown by one only', found.onlyOne));
  return parts.join('\n\n');
}

function divergenceText({ at, events, before, after }: Divergence, found: TraceDifference): string {
  const [a, b] = events;
  const side = (name: string, event: TraceEvent | null, rest: readonly TraceEvent[]) => [
    event ? `${name} ${eventText(event)}` : `${name} has ended`,
    ...rest.map((next) => `${name}   then ${eventText(next)}`),
  ];
  return [
    `they part at event ${at + 1} (A has ${found.events[0]}, B ${found.events[1]}):`,
    ...before.map((event) => `  both ${eventText(event)}`),
    ...side('A:', a, after[0]),
    ...side('B:', b, after[1]),
  ].join('\n');
}

function eventText({ operations, entryPoint, args, effect, retired }: TraceEvent): string {
  const list = Object.entries(args).map(([name, value]) => `${name}=${value}`);
  const result = effect === null ? '' : ` -> ${effect}`;
  const what = operations.length > 0 ? `${operations.join(' or ')} by ` : '';
  return `[${retired}] ${what}${entryPoint}(${list.join(', ')})${result}`;
}

function countTable(title: string, rows: readonly OperationDifference[]): string {
  const names = (entryPoints: readonly string[]) =>
    entryPoints.length > 3
      ? `${entryPoints.slice(0, 3).join(', ')} (+${entryPoints.length - 3})`
      : entryPoints.join(', ');
  return table(
    [title, 'A', 'B', 'A by', 'B by'],
    rows.map(({ operation, counts: [a, b], entryPoints: [x, y] }) => [
      ...[operation, String(a), String(b), names(x), names(y)],
    ]),
  );
}
