// `pvops diff`: two traces, where they first part, and what one asked for that the other did not.

import type { Command } from 'commander';
import { eachUserJsonLine, readUserFile, readUserHead } from '../host/node/index.ts';
import {
  type CountDifference,
  compareTraces,
  type Divergence,
  isBinaryTrace,
  readBinaryTrace,
  type Trace,
  type TraceDifference,
  type TraceEvent,
  TraceReader,
} from '../lab/index.ts';
import { shortList, table } from './report.ts';
import { parseWhole } from './values.ts';

const SAME = 0;
const DIFFERENT = 1;
const ROWS_MAX = 40;
const CONTEXT = 4;
const HEAD_BYTES = 64;
/** Functions beyond the one that asked. */
const CALLERS_SHOWN = 3;

interface DiffOptions {
  readonly json?: boolean;
  readonly divergences: string;
}

export function addDiff(program: Command): void {
  program
    .command('diff')
    .description('compare two traces by operation; status 1 if they differ')
    .argument('<a>', 'a trace: pvops trace ... --out FILE, or pvops run ... --trace FILE')
    .argument('<b>', 'another, of the same kernel or another, on the same interface or another')
    .option('--divergences <number>', 'how many to show', '10')
    .option('--json', 'print the difference as JSON')
    .action(async (a: string, b: string, { json, divergences }: DiffOptions) => {
      const [first, second] = [await traceOf(a), await traceOf(b)];
      const most = parseWhole(divergences, '--divergences');
      const found = compareTraces(first, second, { divergences: most, context: CONTEXT });
      process.stdout.write(
        `${json ? JSON.stringify(found, null, 2) : diffText(found, first, second)}\n`,
      );
      process.exitCode = isSame(found) ? SAME : DIFFERENT;
    });
}

async function traceOf(path: string): Promise<Trace> {
  const trace = await readTraceFile(path);
  if (trace.cut) process.stderr.write(`pvops: ${path} is cut off: comparing what is there\n`);
  return trace;
}

async function readTraceFile(path: string): Promise<Trace> {
  if (isBinaryTrace(await readUserHead(path, 'trace', HEAD_BYTES)))
    return readBinaryTrace(await readUserFile(path, 'trace'), path);
  const reader = new TraceReader(path);
  const cut = await eachUserJsonLine(path, 'trace', (value) => reader.line(value));
  return reader.trace(cut);
}

const isSame = ({ divergenceCount, onlyTime, unequal, notCompared }: TraceDifference): boolean =>
  divergenceCount === 0 && onlyTime === 0 && unequal.length === 0 && notCompared.length === 0;

function diffText(found: TraceDifference, { head: a }: Trace, { head: b }: Trace): string {
  const [x, y] = [a, b].map(({ kernel, interface: on }) => `${kernel} on ${on}`);
  if (isSame(found)) return `identical: ${found.events[0]} events of ${x}`;
  const { divergences, divergenceCount: count, onlyTime, unequal, notCompared } = found;
  const parts = [`A: ${x}, ${found.events[0]} events\nB: ${y}, ${found.events[1]} events`];
  if (count === 0) parts.push('the events that both can show agree');
  for (const [n, one] of divergences.entries()) parts.push(divergenceText(one, n, count));
  if (count > divergences.length)
    parts.push(
      `${count - divergences.length} more divergences: see them with --divergences ${count}`,
    );
  if (onlyTime > 0) parts.push(`${onlyTime} events differ in nothing but their time`);
  if (unequal.length > 0) parts.push(countTable('asked for', unequal));
  if (notCompared.length > 0)
    parts.push(countTable('not compared: one side cannot show', notCompared));
  return parts.join('\n\n');
}

function divergenceText(
  { at, kind, events, lengths, before, after }: Divergence,
  n: number,
  count: number,
): string {
  const mark = kind === 'answer' ? '!' : '>';
  const side = (name: string, s: 0 | 1) => [
    ...eventLines(before[s]).map((text) => `${name}    ${text}`),
    ...eventLines(events[s]).map((text) => `${name} ${mark}  ${text}`),
    ...(events[s].length === 0 ? [`${name} >  nothing`] : []),
    ...(lengths[s] > events[s].length
      ? [`${name} >  and ${lengths[s] - events[s].length} more`]
      : []),
    ...eventLines(after[s]).map((text) => `${name}    ${text}`),
  ];
  const what =
    kind === 'answer' ? 'the same was asked, with another answer or argument' : 'they part';
  return [
    `${n + 1} of ${count}: ${what}, at event ${at[0] + 1} of A and ${at[1] + 1} of B`,
    ...side('A', 0),
    ...side('B', 1),
  ].join('\n');
}

/** A line for each, but one for all of a row that have the same caller and ask for the same. */
function eventLines(events: readonly TraceEvent[]): string[] {
  const lines: string[] = [];
  for (let n = 0; n < events.length; ) {
    const first = events[n++]!;
    const like = (event: TraceEvent | undefined) =>
      event?.entryPoint === first.entryPoint &&
      event.caller === first.caller &&
      event.callers === first.callers;
    let more = 0;
    for (; like(events[n]); n++) more++;
    lines.push(more === 0 ? eventText(first) : `${eventText(first)} and ${more} more like it`);
  }
  return lines;
}

function eventText(event: TraceEvent): string {
  const { operations, entryPoint, args, effect, retired, caller, callers } = event;
  const list = Object.entries(args).map(([name, value]) => `${name}=${value}`);
  const result = effect === null ? '' : ` -> ${effect}`;
  const what = operations.length > 0 ? `${short(operations)} by ` : '';
  const outer = callers.split(' ', CALLERS_SHOWN).filter((name) => name !== '');
  const from = [caller, ...outer].join(' < ');
  return `[${retired}] ${what}${entryPoint}(${list.join(', ')})${result} from ${from}`;
}

function countTable(title: string, rows: readonly CountDifference[]): string {
  const shown = rows.slice(0, ROWS_MAX);
  const text = table(
    [title, 'by', 'A', 'B', 'A through', 'B through'],
    shown.map(({ operation, caller, counts: [a, b], entryPoints: [x, y] }) => [
      ...[short(operation.split(' ')), caller, String(a), String(b), short(x), short(y)],
    ]),
  );
  return rows.length > shown.length ? `${text}\n(${rows.length - shown.length} more)` : text;
}

const short = (names: readonly string[]): string => shortList(names, ', ');
