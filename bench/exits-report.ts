// The table of bench:exits: what each way out of the guest costs, as ratios to an IN exit, and whether that is within its target.

export type ExitKind = 'call' | 'table' | 'event';

export interface ExitRow {
  readonly on: string;
  readonly kind: ExitKind;
  /** Nanoseconds of CPU time each; and how many times an IN of the same minute. */
  readonly nanos: number;
  readonly ratio: number;
}

/** At most so many IN exits: the table in docs/benchmarks.md. */
export const EXIT_TARGETS: Readonly<
  Record<ExitKind, { readonly name: string; readonly most: number }>
> = {
  call: { name: 'null hypercall', most: 3 },
  table: { name: 'store to a page table', most: 10 },
  event: { name: 'event to itself and back', most: 10 },
};

export function exitTable(
  rows: readonly ExitRow[],
  { count, rounds, portNanos }: { count: number; rounds: number; portNanos: number },
): string {
  const lines = [
    `${count} of each, median of ${rounds} rounds; an IN exit takes ${portNanos.toFixed(0)} ns`,
    '',
    '| interface | exit | ns | of an IN | target | |',
    '|---|---|---|---|---|---|',
    ...rows.map(({ on, kind, nanos, ratio }) => {
      const { name, most } = EXIT_TARGETS[kind];
      const met = ratio <= most ? 'met' : 'MISSED';
      return `| ${on} | ${name} | ${nanos.toFixed(0)} | ${ratio.toFixed(2)} | ${most} | ${met} |`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}
