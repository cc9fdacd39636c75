// What interfaces do for the operations: coverage of one, the difference of two, and what all of them share.

import {
  type EntryPoint,
  entryPointsOf,
  findInterface,
  INTERFACES,
  type InterfaceChoice,
  type Manifest,
  otherEntryPoints,
} from '../hypervisors/index.ts';
import { OPERATIONS, type Operation, type OperationId } from '../ops/index.ts';
import { RECORDED } from './recorded/seen.gen.ts';

/**
 * `own`: by an entry point of the interface. `hardware`: by the means that a bare machine has, or that the interface emulates.
 * `nothing`: there is nothing to do. The others: not at all.
 */
export type Served = 'own' | 'hardware' | 'nothing' | 'refused' | 'not modelled' | 'no';

export interface CoverageRow {
  readonly id: OperationId;
  readonly served: Served;
  readonly entryPoints: readonly EntryPoint[];
  /** Real kernels that were seen to ask for it, on their way to their init (`npm run record:seen`). */
  readonly seenIn: readonly string[];
}

export interface Coverage {
  /** As results name it. */
  readonly interface: string;
  readonly rows: readonly CoverageRow[];
  /** Entry points that serve no operation. */
  readonly others: readonly EntryPoint[];
}

export interface Change {
  readonly id: OperationId;
  readonly from: CoverageRow;
  readonly to: CoverageRow;
}

export interface CommonGround {
  readonly interfaces: readonly string[];
  /** Operations for which every interface has something to do, and does it. */
  readonly shared: readonly OperationId[];
  /** Operations that some interface serves by an entry point of its own, and by which. */
  readonly superset: readonly {
    readonly id: OperationId;
    readonly by: Readonly<Record<string, readonly string[]>>;
  }[];
  /** Entry points that one ABI for everybody would have: all own ones of all interfaces, each name once. */
  readonly entryPoints: number;
}

export interface Ability {
  readonly interface: string;
  readonly row: CoverageRow;
}

export function coverageOf(choice: InterfaceChoice): Coverage {
  const manifest = manifestOf(choice);
  return {
    interface: choice.name,
    rows: OPERATIONS.map((op) => coverageRow(manifest, op, choice)),
    others: otherEntryPoints(manifest, choice.version),
  };
}

/** Operations that the two do by different entry points. */
export function changesBetween(from: Coverage, to: Coverage): Change[] {
  const shape = ({ served, entryPoints }: CoverageRow) =>
    JSON.stringify([served, ...entryPoints.map(({ name, status }) => [name, status])]);
  return from.rows.flatMap((row, n) => {
    const other = to.rows[n]!;
    return shape(row) === shape(other) ? [] : [{ id: row.id, from: row, to: other }];
  });
}

/** Over the newest version of every interface. */
export function commonGround(): CommonGround {
  const all = manifestedInterfaces(false).map(coverageOf);
  const rowsOf = (n: number) => all.map((coverage) => coverage.rows[n]!);
  const busy = ({ served }: CoverageRow) => served === 'own' || served === 'hardware';
  const own = all.map(ownEntryPoints);
  return {
    interfaces: all.map((coverage) => coverage.interface),
    shared: OPERATIONS.filter((_, n) => rowsOf(n).every(busy)).map(({ id }) => id),
    superset: OPERATIONS.flatMap(({ id }, n) => {
      const by = rowsOf(n).flatMap(({ served, entryPoints }, i) =>
        served === 'own' ? [[all[i]!.interface, entryPoints.map(({ name }) => name)] as const] : [],
      );
      return by.length === 0 ? [] : [{ id, by: Object.fromEntries(by) }];
    }),
    entryPoints: new Set(own.flatMap((names) => [...names])).size,
  };
}

/** What each interface, in each of its versions, can do about one operation. */
export function abilities(op: Operation<OperationId>): Ability[] {
  return manifestedInterfaces(true).map((choice) => ({
    interface: choice.name,
    row: coverageRow(manifestOf(choice), op, choice),
  }));
}

/** An answer for people: yes, by emulation or hardware, nothing to do, no. */
export function abilityText({ served, entryPoints }: CoverageRow): string {
  const names = entryPoints
    .map(({ name, status }) => (status ? `${name} (${status})` : name))
    .join(', ');
  if (served === 'own') {
    const trapped = entryPoints.every(({ by, seen }) => by === 'instruction' && seen === 'exit');
    return trapped ? `by emulation: ${names}` : `yes: ${names}`;
  }
  if (served === 'hardware') return `as hardware does: ${names}`;
  if (served === 'nothing') return `nothing to do: ${names}`;
  return names === '' ? 'no' : `no: ${names}`;
}

export function servedCounts({ rows }: Coverage): Partial<Record<Served, number>> {
  const counts: Partial<Record<Served, number>> = {};
  for (const { served } of rows) counts[served] = (counts[served] ?? 0) + 1;
  return counts;
}

function coverageRow(
  manifest: Manifest,
  op: Operation<OperationId>,
  { version, name }: InterfaceChoice,
): CoverageRow {
  const entryPoints = entryPointsOf(manifest, op, version);
  const served = servedBy(manifest, op, entryPoints);
  return { id: op.id, served, entryPoints, seenIn: RECORDED[name]?.[op.id] ?? [] };
}

function servedBy(
  manifest: Manifest,
  op: Operation<OperationId>,
  entryPoints: readonly EntryPoint[],
): Served {
  const listed = manifest.operations[op.id] ?? [];
  const working = entryPoints.filter(({ status }) => status === undefined);
  if (working.some((entry) => listed.includes(entry))) return 'own';
  if (working.length > 0) return working[0]!.by === 'nothing' ? 'nothing' : 'hardware';
  return entryPoints[0]?.status ?? 'no';
}

function ownEntryPoints({ rows, others }: Coverage): Set<string> {
  const own = rows.filter(({ served }) => served === 'own');
  return new Set([...own.flatMap(({ entryPoints }) => entryPoints), ...others].map((e) => e.name));
}

function manifestedInterfaces(everyVersion: boolean): InterfaceChoice[] {
  return INTERFACES.flatMap(({ id, versions }) =>
    everyVersion && versions.length > 0
      ? versions.map((version) => findInterface(`${id}@${version}`))
      : [findInterface(id)],
  );
}

const manifestOf = (choice: InterfaceChoice): Manifest => choice.interface.ops;
