// What the CPU asks of the world around it: ports, MMIO, MSRs, CPUID, hypercalls, interrupt vectors.

/**
 * Answered in place, synchronously, by the machine or by a hypervisor interface. Nothing here but a hypercall may touch RIP,
 * CR3 or IF, and nothing the exit policy: an answer that must goes through `requestExit` and is acted on after `run` has
 * returned.
 * While one of these is running, `Cpu.retired()` is exact: it counts the instructions completed before the current one.
 */
export interface Border {
  /** Reads a port. `bytes` is 1, 2 or 4; the answer is zero-extended, unsigned. */
  ioRead(port: number, bytes: number): number;
  ioWrite(port: number, bytes: number, value: number): void;
  /** Reads guest-physical memory that is not RAM; `bytes` is 1, 2, 4 or 8; low and high half go to `out[0]`, `out[1]`. */
  mmioRead(gpa: number, bytes: number, out: Uint32Array): void;
  mmioWrite(gpa: number, bytes: number, lo: number, hi: number): void;
  /** Fills `out` with EAX, EBX, ECX, EDX. */
  cpuid(leaf: number, subleaf: number, out: Uint32Array): void;
  /** MSRs that the CPU does not own. `false` means #GP(0). */
  rdmsr(index: number, out: Uint32Array): boolean;
  wrmsr(index: number, lo: number, hi: number): boolean;
  /**
   * VMCALL or VMMCALL. Registers are read and written through the CPU's state, RIP, IF and CR3 too, by the rules of slow
   * paths: RIP stands behind the instruction, which ends its block. `false` means #UD, `'faulted'` a fault that it has raised.
   */
  hypercall(instruction: 'vmcall' | 'vmmcall'): boolean | 'faulted';
  /**
   * SYSCALL that the exit policy wants, where the interface can answer it here and now, by the rules of slow paths; RIP points
   * behind it. `false` or not given: it leaves the CPU.
   */
  syscall?(): boolean;
  /** The vector to deliver now that the interrupt line is up and the CPU accepts it; -1 when there is none after all. */
  acknowledgeInterrupt(): number;
  /** CR8, where it is the task priority of a local APIC; without these the CPU only keeps it. SDM 3A 11.8.6. */
  readCr8?(): number;
  writeCr8?(value: number): void;
}

/**
 * The exit policy (policy.ts) wants an exception instead of the guest's IDT. Nothing of it has been delivered: RIP is the
 * faulting instruction's (the next one's for a trap), CR2 is untouched, `address` is what it would get after #PF.
 */
export interface ExceptionExit {
  readonly kind: 'exception';
  readonly vector: number;
  readonly error: number | null;
  readonly address: number;
}

/**
 * The exit policy wants an instruction, which has done nothing yet: RIP is its own, `bytes` its length. Its arguments are
 * in the state's ARG slots, as its slow path has them. `Cpu.complete` counts it and goes on behind it.
 */
export interface InstructionExit {
  readonly kind: 'instruction';
  /** One of the POLICY_* bits. */
  readonly policy: number;
  readonly bytes: number;
}

/** The interrupt line is up, the CPU would accept an interrupt, and the exit policy wants it. A halt is over. */
export interface InterruptExit {
  readonly kind: 'interrupt';
}

/** The exits that the exit policy asks for. These objects are the CPU's own and hold until its next run. */
export type PolicyExit = ExceptionExit | InstructionExit | InterruptExit;

/** Why `Cpu.run` returned. The closed list of reasons to leave the CPU. */
export type Exit =
  | PolicyExit
  | { readonly kind: 'budget' }
  | { readonly kind: 'due' }
  | { readonly kind: 'requested' }
  | { readonly kind: 'halt' }
  | { readonly kind: 'shutdown'; readonly why: string }
  | { readonly kind: 'unsupported'; readonly why: string };

/** The exits that a machine answers; an interface answers the others before the machine hears of them. */
export type MachineExit = Exclude<Exit, PolicyExit>;

/** The CPU as the machine and the interfaces see it. */
export interface CpuControl {
  /** Instructions completed since reset; exact at any time, also inside a `Border` call. */
  retired(): number;
  /** Level of the INTR line. Taken at the next instruction boundary at which IF is set and no shadow is in force. */
  setInterruptLine(level: boolean): void;
  /** Makes `run` return with `requested` at the next instruction boundary. */
  requestExit(): void;
  /** Makes `run` return with `due` once that many instructions are completed: as at the end of a budget, behind what else is due there. */
  requestExitAt(retired: number): void;
}
