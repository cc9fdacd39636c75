// Page walks, access checks and the frames' attribute bytes: every access to memory that misses the TLB comes here.

/** What the MMU asks of the engine that is running. */
export interface MmuHooks {
  /**
   * May a memory access with effects outside RAM (MMIO, a store to decoded code) complete now? Only in the last
   * instruction of a block; if not, the engine makes `run` stop and starts again with this instruction alone.
   */
  mayActNow(): boolean;
  /** Called when mayActNow was false; the access then returns as if it had faulted, without a trace. */
  restart(): void;
  /** A store, or a device, has changed bytes of a frame that holds decoded code. */
  codeWritten(gpa: number, bytes: number): void;
}

export type AccessAs = 'current' | 'system';

/**
 * Linear addresses are signed numbers. Faults are raised in the state (#PF with faultAddress; #GP(0) or, with `stack`,
 * #SS(0) for a non-canonical address). At most 16 bytes per access in the first group.
 */
export interface Mmu {
  /** Address in linear memory of the bytes at `va`: in RAM, or SCRATCH with the value in it (MMIO, page crossing). 0: faulted. */
  loadSlow(va: number, bytes: number, stack: number): number;
  /** The same, checked for writing: a `storeSlow` or a direct store of the same bytes cannot fault. */
  rmwSlow(va: number, bytes: number, stack: number): number;
  /** Stores the `bytes` that lie in SCRATCH. 0: done, 1: faulted. */
  storeSlow(va: number, bytes: number, stack: number): 0 | 1;
  probeSlow(va: number, bytes: number, stack: number): 0 | 1;
  /** Guest-physical address of the code byte at `va`, through the fetch TLB (filled on a miss); -1: faulted. */
  fetch(va: number): number;

  /** For slow paths: up to 4096 bytes between guest memory and `buf`. `system`: supervisor access whatever the CPL (descriptor tables, TSS). */
  readonly buf: DataView;
  read(va: number, bytes: number, as: AccessAs): boolean;
  write(va: number, bytes: number, as: AccessAs): boolean;
  /** Faults as a write of all `bytes` would. */
  probe(va: number, bytes: number, as: AccessAs): boolean;

  flushAll(): void;
  flushNonGlobal(): void;
  flushPage(va: number): void;
}
