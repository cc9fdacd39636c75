// Exits of an lguest guest: what the host sees to itself, and what goes to the guest's own handlers.

import type { ExceptionExit, InstructionExit, PolicyExit } from '../../cpu/border.ts';
import { BP, DB, GP, OF, PF } from '../../cpu/control-bits.ts';
import { FIELDS } from '../../cpu/state.ts';
import { GUEST_PL, LGUEST_TRAP_ENTRY } from './abi.ts';
import { doHypercalls } from './calls.ts';
import { emulatePort } from './emulate.ts';
import { enterGate, hasGate, mayRaise } from './gates.ts';
import { DATA, hex, killGuest, type LguestHost, writeData } from './host.ts';

/** Vectors with an error code (has_err of drivers/lguest/interrupts_and_traps.c, 2.6.32; SDM 3A table 6-1). */
const WITH_ERROR = (1 << 8) | (0x1f << 10) | (1 << 17);
/** Kinds of software interrupt, as the CPU's slow path passes them. */
const INT3 = 1;
const INTO = 2;
const ICEBP = 3;
const INT_BYTES = 2;
/** Error code of a software interrupt that is refused: its vector, and that it went through the IDT. SDM 3A 6.13. */
const idtError = (vector: number) => (vector << 3) | 2;

export function onExit(host: LguestHost, exit: PolicyExit): void {
  switch (exit.kind) {
    case 'exception':
      return onException(host, exit);
    case 'instruction':
      return onInt(host, exit);
    case 'interrupt':
      host.platform.interrupt.set(false);
  }
}

function onException(host: LguestHost, exit: ExceptionExit): void {
  const { vector, address } = exit;
  const error = (WITH_ERROR >>> vector) & 1 ? (exit.error ?? 0) : null;
  const kernel = host.cpu.state.get(FIELDS.cpl) === GUEST_PL;
  switch (vector) {
    case GP:
      if (error === 0 && kernel && emulatePort(host)) return;
      break;
    case PF:
      if (host.shadow.demand(address, error ?? 0) === 'mapped' || host.state.dead) return;
      if (host.state.data >= 0) writeData(host, DATA.cr2, address);
      break;
  }
  if (host.state.dead) return;
  reflect(host, vector, error, vector === PF ? address : (error ?? 0));
}

/** To the guest's handler for it; a guest without one cannot go on. */
function reflect(host: LguestHost, vector: number, error: number | null, detail: number): void {
  if (hasGate(host, vector)) return enterGate(host, vector, error);
  const eip = hex(host.cpu.state.get('rip'));
  killGuest(host, `unhandled trap ${vector} at ${eip} (${hex(detail)})`);
}

/**
 * VMCALL, with EIP behind it. False: it comes from ring 3, and is an invalid opcode.
 * Deviates: the real host wrote INT 0x1f over the first of each, which traps as an invalid opcode, and then dropped every
 * translation, since it may have written to a copy. Here the guest's code stays as it is, and so does the shadow.
 */
export function onVmcall(host: LguestHost): boolean {
  const { cpu, state } = host;
  if (cpu.state.word(FIELDS.cpl) !== GUEST_PL) return false;
  doHypercalls(host);
  // What waits for the guest is delivered on the way back to it.
  if (state.halted || state.dead) cpu.requestExit();
  else if (state.pending !== 0) {
    cpu.countRunning(true);
    host.enter();
    cpu.countRunning(false);
  }
  return true;
}

/** INT n: the hypercall, or a gate of the guest's that is open to its ring. */
function onInt(host: LguestHost, { bytes }: InstructionExit): void {
  const { cpu } = host;
  const kind = cpu.state.arg32(1);
  const ring = cpu.state.get(FIELDS.cpl);
  const vector =
    kind === ICEBP ? DB : kind === INT3 ? BP : kind === INTO ? OF : cpu.state.arg32(0) & 0xff;
  if (vector === LGUEST_TRAP_ENTRY && ring === GUEST_PL) {
    cpu.complete(INT_BYTES);
    return doHypercalls(host);
  }
  if (kind !== ICEBP && !mayRaise(host, vector, ring))
    return reflect(host, GP, idtError(vector), idtError(vector));
  cpu.complete(bytes);
  // INT n takes TF with it: its handler is not stepped into. SDM 3B 18.3.1.4.
  cpu.state.set(FIELDS.pendingDebug, 0);
  reflect(host, vector, null, 0);
}
