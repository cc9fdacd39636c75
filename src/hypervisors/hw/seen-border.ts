// A border that reports what passes it: ports, device registers, MSRs, CPUID, calls and interrupts.

import type { Border } from '../../cpu/border.ts';
import type { State } from '../../cpu/state.ts';
import type { OperationId } from '../../ops/index.ts';
import type { EntryNames, SeenEnd } from '../seen.ts';

const RAX = 0;
const POST_PORT = 0x80;
const CMOS_PORTS: readonly number[] = [0x70, 0x71];
/** The local APIC: SDM 3A 11.4.1, and as MSRs 11.12.1.2. */
const APIC_BASE = 0xfee00000;
const APIC_BYTES = 0x1000;
const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x8ff;
const APIC_EOI = 0xb0;
const APIC_ICR = 0x300;

/** Only for runs that are traced. */
export function seenBorder(
  inner: Border,
  state: State,
  { seen, entered }: SeenEnd,
  names: EntryNames,
): Border {
  const msrName = (index: number) => names.msr?.(index) ?? `MSR 0x${index.toString(16)}`;
  return {
    ioRead(port, bytes) {
      entered();
      const value = inner.ioRead(port, bytes);
      seen('IN', { port, bytes }, value, portOperation(port, false));
      return value;
    },
    ioWrite(port, bytes, value) {
      entered();
      inner.ioWrite(port, bytes, value);
      seen('OUT', { port, bytes, value }, null, portOperation(port, true));
    },
    mmioRead(gpa, bytes, out) {
      entered();
      inner.mmioRead(gpa, bytes, out);
      seen('MMIO read', { gpa, bytes }, out[0]!, apicOperation(gpa - APIC_BASE, false));
    },
    mmioWrite(gpa, bytes, lo, hi) {
      entered();
      inner.mmioWrite(gpa, bytes, lo, hi);
      const operation = apicOperation(gpa - APIC_BASE, true);
      seen('MMIO write', { gpa, bytes, value: pair(lo, hi) }, null, operation);
    },
    cpuid(leaf, subleaf, out) {
      entered();
      inner.cpuid(leaf, subleaf, out);
      const name = names.cpuid?.(leaf >>> 0) ?? null;
      seen(name ?? 'CPUID', { leaf: leaf >>> 0, subleaf }, hex(out[0]!), 'cpu.cpuid');
    },
    rdmsr(index, out) {
      entered();
      const done = inner.rdmsr(index, out);
      const effect = done ? pair(out[0]!, out[1]!) : '#GP';
      seen(msrName(index), { access: 'read' }, effect, msrOperation(index, 'cpu.read_msr', names));
      return done;
    },
    wrmsr(index, lo, hi) {
      entered();
      const done = inner.wrmsr(index, lo, hi);
      const args = { access: 'write', value: pair(lo, hi) };
      const operation = msrOperation(index, 'cpu.write_msr', names);
      seen(msrName(index), args, done ? null : '#GP', operation);
      return done;
    },
    hypercall(instruction) {
      entered();
      const name = names.hypercall?.(state.gpr32(RAX)) ?? null;
      const done = inner.hypercall(instruction);
      // One that has raised a fault says so itself.
      if (done !== 'faulted' && (name !== null || !done)) {
        seen(name ?? instruction.toUpperCase(), {}, done ? state.gpr32(RAX) | 0 : '#UD');
      }
      return done;
    },
    syscall() {
      entered();
      return inner.syscall?.() ?? false;
    },
    acknowledgeInterrupt() {
      entered();
      const vector = inner.acknowledgeInterrupt();
      if (vector >= 0) seen('interrupt', { vector }, null);
      return vector;
    },
    ...(inner.readCr8 && { readCr8: () => inner.readCr8!() }),
    ...(inner.writeCr8 && { writeCr8: (value: number) => inner.writeCr8!(value) }),
  };
}

function portOperation(port: number, write: boolean): OperationId | undefined {
  if (port === POST_PORT && write) return 'cpu.io_delay';
  return CMOS_PORTS.includes(port) ? 'time.get_wallclock' : undefined;
}

function apicOperation(offset: number, write: boolean): OperationId | undefined {
  if (offset < 0 || offset >= APIC_BYTES) return undefined;
  if (write && offset === APIC_EOI) return 'apic.eoi_write';
  if (offset === APIC_ICR) return write ? 'apic.icr_write' : 'apic.icr_read';
  return write ? 'apic.write' : 'apic.read';
}

/** An interface's own MSRs are in its manifest. */
function msrOperation(
  index: number,
  plain: 'cpu.read_msr' | 'cpu.write_msr',
  names: EntryNames,
): OperationId | undefined {
  if (index >= X2APIC_FIRST && index <= X2APIC_LAST)
    return apicOperation((index - X2APIC_FIRST) << 4, plain === 'cpu.write_msr');
  return names.msr?.(index) ? undefined : plain;
}

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
const pair = (lo: number, hi: number): string =>
  `0x${(hi >>> 0 === 0 ? lo >>> 0 : (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)).toString(16)}`;
