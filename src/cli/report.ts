// What a run's result looks like as text.

import type { RunResult } from '../lab/index.ts';

export function summaryLine(result: RunResult): string {
  const { guestSeconds, instructions, hostCpuSeconds } = result;
  const millions = (instructions / 1e6).toFixed(1);
  return (
    `${result.interface}: ${result.verdict}: ${result.reason} ` +
    `(${guestSeconds.toFixed(3)} s of guest time, ${millions} M instructions, ${hostCpuSeconds.toFixed(1)} s of CPU)`
  );
}

const OPERATIONS_SHOWN = 20;

/** How often the CPU left the guest, and how fast the run was. */
export function statistics(result: RunResult): string {
  const { exits, instructions, hostCpuSeconds } = result;
  const rows = Object.entries(exits).map(([kind, count]) => `  ${kind.padEnd(10)} ${count}`);
  const mips = instructions / Math.max(hostCpuSeconds, 1e-6) / 1e6;
  return [
    `exits by kind:`,
    ...rows,
    `start ${result.startCpuSeconds.toFixed(2)} CPU s before the first instruction of the guest`,
    `engine ${result.engine}: ${mips.toFixed(1)} million instructions per CPU second`,
    ...Object.entries(result.engineStats).map(([name, n]) => `  ${name.padEnd(30)} ${n}`),
    ...perEntry(result),
    ...operationsSeen(result),
    `state ${result.stateHash}`,
    `console ${result.consoleBytes} bytes, ${result.consoleDigest}`,
  ].join('\n');
}

/** How much of the work translated code did, and how long it stayed in it. */
function perEntry({ engineStats, instructions }: RunResult): string[] {
  const { entries, instructions: translated } = engineStats;
  if (!entries || translated === undefined) return [];
  const share = (100 * translated) / instructions;
  return [
    `  ${share.toFixed(1)}% of the instructions in translated code, ${(translated / entries).toFixed(1)} at an entry`,
  ];
}

/** By operation: the first that an entry point may have served. */
function operationsSeen({ operations }: RunResult): string[] {
  if (operations.length === 0) return [];
  const total = operations.reduce((sum, { count }) => sum + count, 0);
  const rows = operations
    .slice(0, OPERATIONS_SHOWN)
    .map((one) => [String(one.count), shortList(one.operations), one.entryPoint]);
  const more = operations.length - rows.length;
  return [
    `operations seen: ${total}`,
    table(['count', 'operation', 'by'], rows).replace(/^/gm, '  '),
    ...(more > 0 ? [`  and ${more} more kinds: pvops trace --summary lists them`] : []),
  ];
}

/** Three of a list, and how many more. */
export const shortList = (names: readonly string[], between = ' '): string =>
  names.length > 3
    ? `${names.slice(0, 3).join(between)} (+${names.length - 3})`
    : names.join(between);

/** What helps to find out why a run ended badly. */
export function evidence(result: RunResult, withLines: boolean): string {
  const parts: string[] = [];
  if (withLines && result.lastLines.length > 0) {
    parts.push('last lines of the console:', ...result.lastLines.map((line) => `  ${line}`));
  }
  if (result.vcpu !== null)
    parts.push('vCPU:', ...result.vcpu.split('\n').map((line) => `  ${line}`));
  return parts.join('\n');
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, n) => Math.max(...all.map((row) => (row[n] ?? '').length)));
  const numeric = header.map((_, n) => rows.every((row) => /^[\d.]+$/.test(row[n] ?? '')));
  return all
    .map((row) =>
      row
        .map((cell, n) => (numeric[n] ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
