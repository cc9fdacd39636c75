// The one call by which interfaces report what a guest asked of them, where they have decoded it.

import type { OperationId } from '../ops/index.ts';

export type SeenArguments = Readonly<Record<string, number | string>>;
/** Where nobody reads them. */
export const NO_ARGUMENTS: SeenArguments = {};

/**
 * `entryPoint` is a name of the interface's manifest, or of what hardware has. `effect` is what came of it: a result, an
 * error, or null. `operation` only where arguments tell more than the manifest does; `within` where another entry point
 * carries it, which is reported after all that it has carried. Nobody traces: there is no such call.
 */
export type Seen = (
  entryPoint: string,
  args: SeenArguments,
  effect: number | string | null,
  operation?: OperationId,
  within?: string,
) => void;

/** Who listens: `entered` is called before an answer is made, `seen` for what has been answered. */
export interface SeenEnd {
  readonly seen: Seen;
  /** Is it enough to hear how often, and some time later? Then `counted` may say so of what has no effect to tell. */
  readonly onlyCounts?: () => boolean;
  readonly counted?: (entryPoint: string, operation: OperationId, times: number) => void;
  entered(): void;
}

/** What an interface calls its MSRs and calls at the border of the CPU; null: nothing of its own. */
export interface EntryNames {
  msr?(index: number): string | null;
  cpuid?(leaf: number): string | null;
  /** The call that the vCPU is about to make. */
  hypercall?(number: number): string | null;
}
