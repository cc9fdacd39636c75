// What an interface says of the operations: by which of its entry points each is done, in which version, and how that shows.

import type { Mechanism, Operation, OperationId } from '../ops/index.ts';

/**
 * `exit`: the interface or the machine gets control each time. `watched`: memory that it looks at on request. `counted`: the
 * CPU counts it. `unseen`: no trace shows it.
 */
export type Visibility = 'exit' | 'watched' | 'counted' | 'unseen';

/** What an interface offers to get something done. */
export interface EntryPoint {
  /** As its headers spell it; a sub-operation follows a dot: `KVM_HC_MMU_OP.WRITE_PTE`. */
  readonly name: string;
  readonly by: Mechanism;
  readonly seen: Visibility;
  /** Versions of the interface that have it; all of them if not given. */
  readonly versions?: readonly string[];
  /** Not given: it does what it says. */
  readonly status?: 'refused' | 'not modelled';
}

export interface Manifest {
  /** Operations that are not done as the machine below does them, or not only so. */
  readonly operations: Partial<Readonly<Record<OperationId, readonly EntryPoint[]>>>;
  /** Entry points that serve no operation of the catalogue. */
  readonly others: readonly EntryPoint[];
  /**
   * What becomes of an operation that is not listed: how a guest gets it done by the means of hardware, or null if it
   * does not.
   */
  rest(op: Operation): EntryPoint | null;
}

const has = (version: string) => (entry: EntryPoint) => entry.versions?.includes(version) ?? true;

/** The entry points of one operation in one version. Listed ones first; none at all: the interface cannot do it. */
export function entryPointsOf(
  manifest: Manifest,
  op: Operation<OperationId>,
  version: string,
): readonly EntryPoint[] {
  const listed = (manifest.operations[op.id] ?? []).filter(has(version));
  if (listed.some(({ status }) => status === undefined)) return listed;
  const rest = manifest.rest(op);
  return rest ? [...listed, rest] : listed;
}

/** What a version has besides. */
export const otherEntryPoints = (manifest: Manifest, version: string): readonly EntryPoint[] =>
  manifest.others.filter(has(version));
