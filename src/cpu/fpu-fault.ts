// Which fault an x87 or SSE instruction takes before anything else, kept in two state fields so that checking is cheap.

import { FIELDS, type State } from './state.ts';

const CR0_MP = 1 << 1;
const CR0_EM = 1 << 2;
const CR0_TS = 1 << 3;
const CR0_NE = 1 << 5;
const CR4_OSFXSR = 1 << 9;
/** x87 status word: an unmasked exception is pending. SDM 1 8.1.3.3. */
export const FSW_ES = 1 << 7;
export const FSW_B = 1 << 15;

export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_MF = 16;
export const VECTOR_XM = 19;

/**
 * To be called whenever CR0, CR4 or the x87 status word's summary bit may have changed: MOV CR, CLTS, LMSW, resets,
 * a restored state. SDM 3A 2.5 (EM, TS, MP), 13.1.
 */
export function recomputeFpuFaults(state: State): void {
  const cr0 = state.get(FIELDS.cr0);
  const sse = (cr0 & CR0_EM) !== 0 || (state.get(FIELDS.cr4) & CR4_OSFXSR) === 0;
  state.set(FIELDS.sseFault, sse ? VECTOR_UD : (cr0 & CR0_TS) !== 0 ? VECTOR_NM : 0);
  state.set(FIELDS.x87Fault, x87Fault(state, cr0));
}

function x87Fault(state: State, cr0: number): number {
  if ((cr0 & (CR0_EM | CR0_TS)) !== 0) return VECTOR_NM;
  return pendingX87(state, cr0) ? VECTOR_MF : 0;
}

/**
 * An unmasked x87 exception waits for the next waiting instruction. With CR0.NE clear a PC would get FERR# and IRQ 13.
 * Deviates: FERR# is not modelled (no kernel since the 386 needs it), so nothing happens then.
 */
function pendingX87(state: State, cr0: number): boolean {
  return (state.get(FIELDS.fsw) & FSW_ES) !== 0 && (cr0 & CR0_NE) !== 0;
}

/** What FWAIT faults with: it honours TS only together with MP, and EM not at all. SDM 2B WAIT/FWAIT. */
export function waitFault(state: State): number {
  const cr0 = state.get(FIELDS.cr0);
  if ((cr0 & CR0_TS) !== 0 && (cr0 & CR0_MP) !== 0) return VECTOR_NM;
  return pendingX87(state, cr0) ? VECTOR_MF : 0;
}

/** Exceptions that can be pending, in FSW and FCW alike: IE DE ZE OE UE PE. */
export const X87_EXCEPTIONS = 0x3f;

/** Recomputes ES and B from the exception flags and masks, and what hangs on them. */
export function updateSummary(state: State): void {
  let fsw = state.get(FIELDS.fsw);
  const pending = (fsw & ~state.get(FIELDS.fcw) & X87_EXCEPTIONS) !== 0;
  fsw = pending ? fsw | FSW_ES | FSW_B : fsw & ~(FSW_ES | FSW_B);
  state.set(FIELDS.fsw, fsw);
  recomputeFpuFaults(state);
}
