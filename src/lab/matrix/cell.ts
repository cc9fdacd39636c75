// One cell of the matrix: a kernel on an interface, as a job that can be posted and as a result that can be stored.

import * as v from 'valibot';
import type { EngineName } from '../../cpu/core.ts';
import type { BootWay } from '../../hypervisors/index.ts';
import type { MachineModelId } from '../../machine/index.ts';

/** Everything that a worker needs to run a cell: names of files, not their bytes. */
export interface CellJob {
  /** As the user gave it: a path or a pulled name. */
  readonly kernel: string;
  /** `kvm@6.1` */
  readonly on: string;
  /** A machine model; null: the interface's first. */
  readonly machine: MachineModelId | null;
  /** How the matrix calls the machine's shape, where there are several; or empty. */
  readonly shape: string;
  /** Parts that it is without. */
  readonly without: readonly string[];
  readonly boot: BootWay;
  /** A file; null: busybox. */
  readonly initrd: string | null;
  readonly append: string;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  readonly timeoutSeconds: number;
  readonly hostSeconds: number;
  readonly expectText: string | null;
  readonly failText: string | null;
  readonly seed: number;
  readonly epochSeconds: number;
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(1 << 20));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

export const EXIT_KINDS = [
  ...['io', 'mmio', 'cpuid', 'msr', 'hypercall', 'interrupt', 'halt'],
] as const;

/** How a cell ended. Figures are null for a cell that did not run. */
export const cellSchema = v.object({
  kernel: v.pipe(text, v.description('The kernel as it was named: a path or a pulled name.')),
  kernelVersion: v.pipe(text, v.description("The kernel's banner, or empty.")),
  sha256: v.pipe(
    v.nullable(sha256),
    v.description('Digest of the file or package that the kernel came in.'),
  ),
  interface: v.pipe(text, v.description('Interface and version, such as kvm@6.1.')),
  shape: v.pipe(
    text,
    v.description('The shape of the machine, where the matrix has several; or empty.'),
  ),
  verdict: v.picklist(['up', 'panic', 'ended', 'hung', 'blind', 'absent', 'error']),
  reason: v.pipe(text, v.description('Why, in a sentence.')),
  timedOut: v.boolean(),
  instructions: v.pipe(count, v.description('Retired until the verdict: exact and reproducible.')),
  guestSeconds: v.pipe(v.number(), v.minValue(0)),
  hostSeconds: v.pipe(
    v.number(),
    v.minValue(0),
    v.description("CPU seconds of the cell's thread: not reproducible."),
  ),
  memoryBytes: v.pipe(count, v.description('RAM of the machine.')),
  touchedBytes: v.pipe(count, v.description('RAM that was ever written, in frames of 4 KiB.')),
  exits: v.pipe(v.record(v.string(), count), v.description('How often the CPU asked, by kind.')),
  operations: v.pipe(
    v.array(v.object({ operations: v.array(text), entryPoint: text, count })),
    v.description('What the kernel asked for, by entry point: exact and reproducible.'),
  ),
  stateHash: v.nullable(text),
  consoleDigest: v.nullable(sha256),
  console: v.pipe(v.array(text), v.description('The end of what the console printed, by lines.')),
  vcpu: v.pipe(v.nullable(text), v.description('The vCPU, if the run ended badly.')),
  samples: v.pipe(
    v.array(
      v.object({ guestSeconds: v.number(), exits: v.array(count), operations: v.array(count) }),
    ),
    v.description('Counts over guest time, in the order of exitKinds and operationGroups.'),
  ),
});
export type Cell = v.InferOutput<typeof cellSchema>;

export const MATRIX_FORMAT = 'pvops-matrix-2';

export const matrixSchema = v.object({
  format: v.pipe(
    v.literal(MATRIX_FORMAT),
    v.description('Changes when the meaning of a field does.'),
  ),
  exitKinds: v.array(text),
  operationGroups: v.array(text),
  kernels: v.pipe(v.array(text), v.description('Rows.')),
  interfaces: v.pipe(v.array(text), v.description('Columns.')),
  cells: v.pipe(v.array(cellSchema), v.description('Row by row.')),
});
export type Matrix = v.InferOutput<typeof matrixSchema>;

export type CellPlace = Pick<Cell, 'kernel' | 'interface' | 'shape'>;

/** The column that a cell stands in. */
export const columnName = ({ interface: on, shape }: Omit<CellPlace, 'kernel'>): string =>
  shape === '' ? on : `${on}, ${shape}`;

export const cellName = (cell: CellPlace): string => `${cell.kernel} on ${columnName(cell)}`;
