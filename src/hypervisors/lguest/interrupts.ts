// Interrupts of an lguest guest: lines that are raised, masked by the guest in its memory, and delivered on the way to it.

import { EFLAGS_IF } from '../../cpu/control-bits.ts';
import { FIELDS } from '../../cpu/state.ts';
import { enterGate, FIRST_EXTERNAL_VECTOR, hasGate, virtualInterrupts } from './gates.ts';
import { DATA, type LguestHost, readData, writeData } from './host.ts';

/** Line of the clock; devices have those behind it. */
export const TIMER_LINE = 0;
const NANOS_PER_SECOND = 1e9;
const RIP = FIELDS.rip.at >> 2;

/** Raises a line; one that is raised already stays so. */
export function raiseLine(host: LguestHost, line: number): void {
  const { state, cpu } = host;
  state.pending = (state.pending | (1 << line)) >>> 0;
  if (state.halted && deliverable(host) !== 0) cpu.state.set(FIELDS.halted, 0);
}

/**
 * On every way to the guest: at most one interrupt. True: something is raised that could not be delivered, so that the guest
 * has to be looked at again, since neither its sti nor its unmasking makes a call.
 */
export function deliverInterrupt(host: LguestHost): boolean {
  const { state, cpu, vcpuWords } = host;
  if (state.pending === 0 || state.data < 0) return false;
  const ready = deliverable(host);
  if (ready === 0) return !state.halted;
  const eip = vcpuWords[RIP]! >>> 0;
  if (eip >= state.noirqStart && eip < state.noirqEnd) return !state.halted;
  if (state.halted) {
    writeData(host, DATA.irq_enabled, EFLAGS_IF);
    state.halted = false;
    cpu.state.set(FIELDS.halted, 0);
  } else if (!virtualInterrupts(host)) {
    writeData(host, DATA.irq_pending, EFLAGS_IF);
    return true;
  }
  const line = 31 - Math.clz32(ready & -ready);
  if (!hasGate(host, FIRST_EXTERNAL_VECTOR + line)) return true;
  state.pending = (state.pending & ~(1 << line)) >>> 0;
  enterGate(host, FIRST_EXTERNAL_VECTOR + line, null);
  writeTime(host);
  if (deliverable(host) === 0) writeData(host, DATA.irq_pending, 0);
  return state.pending !== 0;
}

function deliverable(host: LguestHost): number {
  return host.state.pending & ~readData(host, DATA.blocked_interrupts);
}

/** The wall clock, which stands still for the guest between two such moments. */
export function writeTime({ platform, view, ramBase, written, state }: LguestHost): void {
  const now = platform.clock.now();
  const seconds = Math.floor(now / NANOS_PER_SECOND);
  const at = state.data + DATA.time_sec;
  view.setUint32(ramBase + at, platform.epochSeconds + seconds, true);
  view.setUint32(ramBase + at + 4, now - seconds * NANOS_PER_SECOND, true);
  written(at, 8);
}
